#!lua flags=allow-oom
-- Take back a reserve whose reply never came, of a call that was therefore not sent. Where it has
-- not run yet, a closed record makes it a repeat when it does. Nothing is booked.
--
-- KEYS  1 call record  2 leases  3 calls by idempotency key   4.. accounts of the call
-- ARGV  1 request id   2 life of the closed record (s)
--       3 '1' where the ledger is known to have all of the call, else '0'
--       4 its outcome then for who repeats it, empty where its idempotency key may be used again
-- Reply 'OK' | 'DUP' (closed already) | 'BOOKED' (it lapsed meanwhile: settle it at nothing)
local call, leases, repeats = KEYS[1], KEYS[2], KEYS[3]
local open, hold, entries, idempotency_key =
  unpack(redis.call('HMGET', call, 'open', 'hold', 'n', 'idempotency_key'))
if open == '0' then return 'DUP' end
if entries and entries ~= '0' and ARGV[3] == '0' then return 'BOOKED' end
local release = string.format('%.0f', 0 - tonumber(hold or '0'))
for i = 4, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 1 then redis.call('HINCRBY', KEYS[i], 'held', release) end
end
redis.call('HSET', call, 'open', '0', 'granted', '0', 'hold', '0', 'chg', '0', 'n', '0')
redis.call('EXPIRE', call, ARGV[2])
redis.call('ZREM', leases, ARGV[1])
if idempotency_key then
  local first = redis.call('HGET', repeats, idempotency_key)
  local request_id, fingerprint = string.match(first or '', '^(%S+) (%S+)')
  if request_id == ARGV[1] and ARGV[4] == '' then
    redis.call('HDEL', repeats, idempotency_key)
  elseif request_id == ARGV[1] then
    redis.call('HSET', repeats, idempotency_key, request_id .. ' ' .. fingerprint .. ' ' .. ARGV[4])
  end
end
return 'OK'
