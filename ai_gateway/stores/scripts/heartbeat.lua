#!lua flags=allow-oom
-- Renew the lease of a running call and store how far it is. Progress is absolute, so that a
-- repeat is harmless.
--
-- KEYS  1 call record  2 leases  3 key record
-- ARGV  1 request id   2 lease (ms)   3 floor of the cost (nano-USD)   4 floor of the tally
--       5 life of the record while open (s)
-- Reply 'OK' | 'REVOKED' (renewed, but the stream has to end) | 'LAPSED' (the hold is gone: hold
--       again or end) | 'CLOSED' | 'GONE' (Redis lost the record)
local call, leases = KEYS[1], KEYS[2]
local record = redis.call('HMGET', call, 'open', 'hold')
if not record[1] then return 'GONE' end
if record[1] ~= '1' then return 'CLOSED' end
if not redis.call('ZSCORE', leases, ARGV[1]) then return 'LAPSED' end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', leases, string.format('%.0f', now + tonumber(ARGV[2])), ARGV[1])
redis.call('HSET', call, 'floor', ARGV[3], 'floor_tally', ARGV[4])
redis.call('EXPIRE', call, ARGV[5])
if redis.call('HGET', KEYS[3], 'status') ~= 'active' then return 'REVOKED' end
return 'OK'
