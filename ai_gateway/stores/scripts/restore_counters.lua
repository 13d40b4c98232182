#!lua
-- Write some counters as the ledger has them, and renew the claim. Holds of running calls stay.
-- What a bookkeeper sends too late, after another took over or the counters were trusted, is
-- refused.
--
-- KEYS  1 meta  2 claim  3.. accounts
-- ARGV  1 attempt   2 life of the claim (s)
--       then for each account: spent (nano-USD), moment to forget it (unix s)
-- Reply 1 when written, 0 when the claim is lost
local meta, claim = KEYS[1], KEYS[2]
if redis.call('HGET', claim, 'attempt') ~= ARGV[1] then return 0 end
if redis.call('HEXISTS', meta, 'epoch') == 1 then return 0 end
redis.call('EXPIRE', claim, ARGV[2])
for i = 3, #KEYS do
  redis.call('HSET', KEYS[i], 'spent', ARGV[i * 2 - 3])
  redis.call('EXPIREAT', KEYS[i], ARGV[i * 2 - 2])
end
return 1
