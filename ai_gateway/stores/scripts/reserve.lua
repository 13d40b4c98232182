#!lua
-- Hold the worst case of a call in every account that it touches, or refuse; one atomic decision.
-- Without allow-oom on purpose: at the memory limit new work is refused.
--
-- KEYS  1 meta  2 key record  3 call record  4 leases  5 refused accounts
--       6 calls by idempotency key   7 ages of these   8.. accounts
-- ARGV  1 request id        2 key version that the worker knows
--       3 amount wanted     4 least amount that will do            (nano-USD)
--       5 lease (ms)        6 life of the record while open (s)
--       7 floor of the cost (nano-USD)   8 floor of the tally (numbers with commas between)
--       9 facts (JSON, for the ledger)   10 version of the house rules that the worker knows
--       11 idempotency key, empty without one   12 fingerprint of its request
--       then for each account: limit (nano-USD, -1 for none), moment to forget it (unix s)
-- Reply {'OK', granted, seq, numbers of the accounts that had spent 80 % of their limit, by commas}
--       | {'DENY', account number, limit, spent, held} | {'STALE'} (the key or the rules changed)
--       | {'COLD'} (no epoch: the counters cannot be trusted) | {'DUP', granted, seq}
--       | {'REPEAT', request id of the first call, '1' for the same request, its outcome or ''}
local meta, key_record, call, leases, refused = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local repeats, ages, idempotency_key = KEYS[6], KEYS[7], ARGV[11]
local FIRST = 8
-- Where a virtual key sends more in a day, the oldest are forgotten early: memory is bounded.
local REMEMBERED_MS, MOST_REMEMBERED = 24 * 3600 * 1000, 10000

local state = redis.call('HMGET', meta, 'epoch', 'seq', 'rules_version')
if not state[1] then return {'COLD'} end
local seq = state[2] or '0'
local known = redis.call('HGET', call, 'granted')
if known then return {'DUP', known, seq} end
if (state[3] or '') ~= ARGV[10] then return {'STALE'} end
if redis.call('HGET', key_record, 'version') ~= ARGV[2] then return {'STALE'} end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if idempotency_key ~= '' then
  local first = redis.call('HGET', repeats, idempotency_key)
  local since = redis.call('ZSCORE', ages, idempotency_key)
  if first and since and tonumber(since) > now - REMEMBERED_MS then
    local request_id, fingerprint, outcome = string.match(first, '^(%S+) (%S+) (%S*)$')
    return {'REPEAT', request_id, fingerprint == ARGV[12] and '1' or '0', outcome}
  end
end

local wanted, least = tonumber(ARGV[3]), tonumber(ARGV[4])
local granted, tightest, tight_limit, tight_spent, tight_held = wanted, 0, 0, 0, 0
local near = {}
for i = FIRST, #KEYS do
  local limit = tonumber(ARGV[13 + (i - FIRST) * 2])
  if limit >= 0 then
    local counters = redis.call('HMGET', KEYS[i], 'spent', 'held')
    local spent, held = tonumber(counters[1] or '0'), tonumber(counters[2] or '0')
    local free = limit - spent - held
    if spent * 5 >= limit * 4 then near[#near + 1] = i - FIRST + 1 end
    if free < granted then
      granted, tightest = free, i
      tight_limit, tight_spent, tight_held = limit, spent, held
    end
  end
end

if granted < least or granted < 0 then
  redis.call('HSET', KEYS[tightest], 'refused', '1')
  redis.call('EXPIREAT', KEYS[tightest], ARGV[14 + (tightest - FIRST) * 2])
  redis.call('SADD', refused, KEYS[tightest])
  return {'DENY', tightest - FIRST + 1, string.format('%.0f', tight_limit),
          string.format('%.0f', tight_spent), string.format('%.0f', tight_held)}
end

local amount = string.format('%.0f', granted)
for i = FIRST, #KEYS do
  redis.call('HINCRBY', KEYS[i], 'held', amount)
  redis.call('EXPIREAT', KEYS[i], ARGV[14 + (i - FIRST) * 2])
  if redis.call('HDEL', KEYS[i], 'refused') == 1 then redis.call('SREM', refused, KEYS[i]) end
end
local accounts = {}
for i = FIRST, #KEYS do accounts[#accounts + 1] = KEYS[i] end
redis.call('HSET', call, 'open', '1', 'granted', amount, 'hold', amount, 'chg', '0', 'n', '0',
  'tally', '', 'floor', ARGV[7], 'floor_tally', ARGV[8], 'facts', ARGV[9],
  'accounts', table.concat(accounts, ' '), 'key_record', key_record)
if idempotency_key ~= '' then
  local oldest, count = redis.call('ZRANGE', ages, 0, 9, 'WITHSCORES'), redis.call('ZCARD', ages)
  for i = 1, #oldest, 2 do
    if count < MOST_REMEMBERED and tonumber(oldest[i + 1]) > now - REMEMBERED_MS then break end
    redis.call('ZREM', ages, oldest[i])
    redis.call('HDEL', repeats, oldest[i])
    count = count - 1
  end
  redis.call('HSET', repeats, idempotency_key, ARGV[1] .. ' ' .. ARGV[12] .. ' ')
  redis.call('ZADD', ages, string.format('%.0f', now), idempotency_key)
  redis.call('PEXPIRE', repeats, REMEMBERED_MS)
  redis.call('PEXPIRE', ages, REMEMBERED_MS)
  redis.call('HSET', call, 'idempotency_key', idempotency_key)
end
redis.call('EXPIRE', call, ARGV[6])
redis.call('ZADD', leases, string.format('%.0f', now + tonumber(ARGV[5])), ARGV[1])
return {'OK', amount, seq, table.concat(near, ',')}
