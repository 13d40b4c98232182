#!lua
-- Put the copy of a key where `reserve` compares it; an older version never replaces a newer one,
-- and an active key never one that was revoked here and not yet in SQL.
--
-- KEYS  1 key record  2 revocations
-- ARGV  1 number of the version   2 whole version   3 status   4 record (JSON)   5 key id
-- Reply 1 when written, 0 when a newer one is there
local stored = redis.call('HGET', KEYS[1], 'number')
if stored and tonumber(stored) > tonumber(ARGV[1]) then return 0 end
if ARGV[3] ~= 'revoked' and redis.call('HEXISTS', KEYS[2], ARGV[5]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'number', ARGV[1], 'version', ARGV[2], 'status', ARGV[3],
  'record', ARGV[4])
return 1
