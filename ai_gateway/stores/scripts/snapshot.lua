#!lua
-- Read the waiting outbox and some accounts at one moment.
--
-- KEYS  1 outbox  2.. accounts
-- ARGV  1 position: entries after it are read
-- Reply {entries as XRANGE gives them, spent of each account}
local spent = {}
for i = 2, #KEYS do spent[#spent + 1] = redis.call('HGET', KEYS[i], 'spent') or '0' end
return {redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+'), spent}
