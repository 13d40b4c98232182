#!lua flags=allow-oom
-- Distrust the counters: Redis went back in time. New calls are refused until the bookkeeper has
-- restored them. Nothing happens where the epoch is another one by now.
--
-- KEYS  1 meta, 2 counts of events
-- ARGV  1 epoch that is not to be trusted any more
-- Reply 1 when forgotten, else 0
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 0 end
redis.call('HINCRBY', KEYS[2], 'ledger_epoch_rollbacks_total', 1)
return redis.call('HDEL', KEYS[1], 'epoch')
