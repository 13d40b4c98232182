#!lua flags=allow-oom
-- Replace the hold of a call by its true cost and append the difference to the outbox.
-- With allow-oom: money always lands. A repeat changes nothing. What would take a counter below 0,
-- after a reset, is booked as an adjustment of that account beside it.
--
-- KEYS  1 meta  2 call record  3 leases  4 outbox  5 calls by idempotency key
--       6.. accounts of the call
-- ARGV  1 request id   2 cost of the whole call (nano-USD)   3 tally of the whole call
--       4 result (JSON, for the ledger)   5 life of the closed record (s)
--       6 tally of nothing
--       7 outcome for who repeats the call, empty where its idempotency key may be used again
-- Reply {'OK', difference, seq} | {'DUP', cost already booked, seq} | {'UNKNOWN'} (no record)
local meta, call, leases, outbox, repeats = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local FIRST = 6
local record = redis.call('HMGET', call, 'open', 'hold', 'chg', 'n', 'tally', 'facts', 'granted',
  'idempotency_key')
if not record[1] then return {'UNKNOWN'} end
if record[1] == '0' then return {'DUP', record[3], redis.call('HGET', meta, 'seq') or '0'} end

local function differences(now, before)
  local earlier, parts = {}, {}
  for number in string.gmatch(before, '[^,]+') do earlier[#earlier + 1] = tonumber(number) end
  for number in string.gmatch(now, '[^,]+') do
    parts[#parts + 1] = string.format('%.0f', tonumber(number) - (earlier[#parts + 1] or 0))
  end
  return table.concat(parts, ',')
end

local charged, number = tonumber(record[3]), tonumber(record[4]) + 1
-- Not '-' .. hold: '-0' is no number to HINCRBY, and what is held may be nothing.
local release = string.format('%.0f', 0 - tonumber(record[2]))
local difference = string.format('%.0f', tonumber(ARGV[2]) - charged)
local tally = differences(ARGV[3], record[5])
local below = {}
for i = FIRST, #KEYS do
  -- An account that is forgotten by now stays forgotten: it would never expire.
  if redis.call('EXISTS', KEYS[i]) == 1 then
    redis.call('HINCRBY', KEYS[i], 'held', release)
    local spent = redis.call('HINCRBY', KEYS[i], 'spent', difference)
    if spent < 0 then
      -- A reset took what this difference takes back: the counter stops at 0.
      redis.call('HSET', KEYS[i], 'spent', '0')
      below[i] = string.format('%.0f', 0 - spent)
    end
  end
end
redis.call('HSET', call, 'open', '0', 'hold', '0', 'chg', ARGV[2], 'n', number, 'tally', ARGV[3])
redis.call('EXPIRE', call, ARGV[5])
if record[8] then
  local first = redis.call('HGET', repeats, record[8])
  local request_id, fingerprint = string.match(first or '', '^(%S+) (%S+)')
  if request_id == ARGV[1] and ARGV[7] == '' then
    redis.call('HDEL', repeats, record[8])
  elseif request_id == ARGV[1] then
    redis.call('HSET', repeats, record[8], request_id .. ' ' .. fingerprint .. ' ' .. ARGV[7])
  end
end
redis.call('ZREM', leases, ARGV[1])
local seq = redis.call('HINCRBY', meta, 'seq', 1)
redis.call('XADD', outbox, '*', 'kind', 'call', 'request_id', ARGV[1], 'entry_no', number,
  'cost', difference, 'total', ARGV[2], 'tally', tally, 'seq', seq, 'facts', record[6],
  'held', record[7], 'result', ARGV[4])
for i, amount in pairs(below) do
  local facts, result = cjson.decode(record[6]), cjson.decode(ARGV[4])
  facts.accounts = {facts.accounts[i - FIRST + 1]}
  result.outcome, result.raw_usage = 'reset', cjson.null
  result.working, result.provider_id = cjson.null, cjson.null
  seq = redis.call('HINCRBY', meta, 'seq', 1)
  redis.call('XADD', outbox, '*', 'kind', 'adjustment', 'request_id', ARGV[1] .. ':' .. (i - FIRST + 1),
    'entry_no', 1, 'cost', amount, 'total', amount, 'tally', ARGV[6], 'seq', seq,
    'facts', cjson.encode(facts), 'held', '0', 'result', cjson.encode(result))
end
return {'OK', difference, tostring(seq)}
