#!lua flags=allow-oom
-- Add to what bookkeepers have counted. No count is lower than one of them has seen it: Redis lost
-- it since, or went back in time, and a counter that begins anew with what it counts tells nothing.
--
-- KEYS  1 counts of events
-- ARGV  for each event: name, number to add, count as this bookkeeper saw it last
-- Reply the counts, in the same order
local counts = {}
for i = 1, #ARGV, 3 do
  local known = tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or '0')
  local count = math.max(known, tonumber(ARGV[i + 2])) + tonumber(ARGV[i + 1])
  redis.call('HSET', KEYS[1], ARGV[i], string.format('%.0f', count))
  counts[#counts + 1] = count
end
return counts
