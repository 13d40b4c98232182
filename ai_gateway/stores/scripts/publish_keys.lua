#!lua
-- Put copies of keys where `reserve` compares them; an older version never replaces a newer one,
-- and an active key never one that was revoked here and not yet in SQL.
--
-- KEYS  1 revocations  2.. key records
-- ARGV  for each record: number of the version, whole version, status, record (JSON), key id
-- Reply how many were written: not where a newer one is there
local written = 0
for i = 2, #KEYS do
  local first = (i - 2) * 5
  local number, version, status, record, key_id = unpack(ARGV, first + 1, first + 5)
  local stored = redis.call('HGET', KEYS[i], 'number')
  local is_older = stored and tonumber(stored) > tonumber(number)
  if not is_older and (status == 'revoked' or redis.call('HEXISTS', KEYS[1], key_id) == 0) then
    redis.call('HSET', KEYS[i], 'number', number, 'version', version, 'status', status,
      'record', record)
    written = written + 1
  end
end
return written
