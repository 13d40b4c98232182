#!lua
-- Claim the restoring of the counters, where nobody trusts them and no other bookkeeper is at it.
-- From here on new entries have numbers that no booked entry has.
--
-- KEYS  1 meta  2 claim
-- ARGV  1 owner   2 attempt   3 life of the claim (s)   4 highest number in the ledger
-- Reply the number that the entries of later calls are above, or nothing (let it be)
local meta, claim = KEYS[1], KEYS[2]
if redis.call('HEXISTS', meta, 'epoch') == 1 then return false end
local owner = redis.call('HGET', claim, 'owner')
if owner and owner ~= ARGV[1] then return false end
redis.call('HSET', claim, 'owner', ARGV[1], 'attempt', ARGV[2])
redis.call('EXPIRE', claim, ARGV[3])
local seq = redis.call('HGET', meta, 'seq')
if seq and tonumber(seq) >= tonumber(ARGV[4]) then return seq end
redis.call('HSET', meta, 'seq', ARGV[4])
return ARGV[4]
