#!lua flags=allow-oom
-- Make the record of a call say what the ledger says, after Redis lost it or went back in time;
-- with the hold that the call's worker still has for it where the record is gone.
--
-- KEYS  1 meta  2 call record  3 leases  4.. accounts of the call
-- ARGV  1 request id   2 hold (nano-USD)   3 lease (ms)   4 life of the record while open (s)
--       5 booked so far (nano-USD)   6 entries so far   7 tally booked so far   8 facts (JSON)
--       9 floor of the cost (nano-USD)   10 floor of the tally   11 key record
--       then for each account: moment to forget it (unix s)
-- Reply 'OK' | 'DUP' (it is closed) | 'COLD' (the counters are not restored yet: try later)
local meta, call, leases = KEYS[1], KEYS[2], KEYS[3]
if redis.call('HEXISTS', meta, 'epoch') == 0 then return 'COLD' end
local open = redis.call('HGET', call, 'open')
if open == '0' then return 'DUP' end
redis.call('HSET', call, 'chg', ARGV[5], 'n', ARGV[6], 'tally', ARGV[7])
redis.call('EXPIRE', call, ARGV[4])
if open then return 'OK' end
local accounts = {}
for i = 4, #KEYS do
  accounts[#accounts + 1] = KEYS[i]
  redis.call('HINCRBY', KEYS[i], 'held', ARGV[2])
  redis.call('EXPIREAT', KEYS[i], ARGV[8 + i])
end
redis.call('HSET', call, 'open', '1', 'granted', ARGV[2], 'hold', ARGV[2], 'floor', ARGV[9],
  'floor_tally', ARGV[10], 'facts', ARGV[8], 'accounts', table.concat(accounts, ' '),
  'key_record', ARGV[11])
redis.call('EXPIRE', call, ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', leases, string.format('%.0f', now + tonumber(ARGV[3])), ARGV[1])
return 'OK'
