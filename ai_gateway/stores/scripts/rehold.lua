#!lua
-- Hold again for a call whose lease lapsed while its worker was frozen. What was charged meanwhile
-- stands in `spent`, so that only the rest of the first hold is needed.
--
-- KEYS  1 call record  2 leases  3.. accounts of the call
-- ARGV  1 request id   2 lease (ms)   then for each account: limit (nano-USD, -1 for none)
-- Reply 'OK' | 'DENY' | 'CLOSED'
local call, leases = KEYS[1], KEYS[2]
local record = redis.call('HMGET', call, 'open', 'hold', 'chg', 'granted')
if record[1] ~= '1' then return 'CLOSED' end
if redis.call('ZSCORE', leases, ARGV[1]) then return 'OK' end
local rest = math.max(0, tonumber(record[4]) - tonumber(record[3]))
for i = 3, #KEYS do
  local limit = tonumber(ARGV[i])
  if limit >= 0 then
    local counters = redis.call('HMGET', KEYS[i], 'spent', 'held')
    local free = limit - tonumber(counters[1] or '0') - tonumber(counters[2] or '0')
    if free < rest then return 'DENY' end
  end
end
local amount = string.format('%.0f', rest)
for i = 3, #KEYS do
  -- An account that is forgotten by now stays forgotten: it would never expire.
  if redis.call('EXISTS', KEYS[i]) == 1 then redis.call('HINCRBY', KEYS[i], 'held', amount) end
end
redis.call('HSET', call, 'hold', amount)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', leases, string.format('%.0f', now + tonumber(ARGV[2])), ARGV[1])
return 'OK'
