#!lua
-- Put the copy of a key where `reserve` compares it; an older version never replaces a newer one.
--
-- KEYS  1 key record
-- ARGV  1 number of the version   2 whole version   3 status   4 record (JSON)
-- Reply 1 when written, 0 when a newer one is there
local stored = redis.call('HGET', KEYS[1], 'number')
if stored and tonumber(stored) > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'number', ARGV[1], 'version', ARGV[2], 'status', ARGV[3],
  'record', ARGV[4])
return 1
