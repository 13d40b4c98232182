#!lua flags=allow-oom
-- Let an account start afresh: its counter becomes 0 and the ledger gets an adjustment over the
-- amount. Holds of running calls stay. A repeat of the same reset changes nothing.
--
-- KEYS  1 meta  2 mark of this reset  3 outbox  4 account  5 refused accounts
-- ARGV  1 reset id   2 facts (JSON, for the ledger)   3 result (JSON, for the ledger)
--       4 tally of nothing   5 life of the mark (s)
-- Reply {'OK', amount taken off (nano-USD)} | {'DUP', the same}
--       | {'COLD'} (no epoch: the counter cannot be trusted; nothing is remembered)
local meta, mark, outbox, account, refused = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local done = redis.call('GET', mark)
if done then return {'DUP', done} end
if redis.call('HEXISTS', meta, 'epoch') == 0 then return {'COLD'} end
local spent = redis.call('HGET', account, 'spent') or '0'
redis.call('SET', mark, spent, 'EX', ARGV[5])
if redis.call('HDEL', account, 'refused') == 1 then redis.call('SREM', refused, account) end
if spent == '0' then return {'OK', spent} end
local difference = string.format('%.0f', 0 - tonumber(spent))
redis.call('HSET', account, 'spent', '0')
local seq = redis.call('HINCRBY', meta, 'seq', 1)
redis.call('XADD', outbox, '*', 'kind', 'adjustment', 'request_id', ARGV[1], 'entry_no', 1,
  'cost', difference, 'total', difference, 'tally', ARGV[4], 'seq', seq, 'facts', ARGV[2],
  'held', '0', 'result', ARGV[3])
return {'OK', spent}
