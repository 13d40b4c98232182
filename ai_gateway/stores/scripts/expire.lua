#!lua flags=allow-oom
-- Book a call whose lease lapsed at what was last known of it; the record stays open, so that a
-- worker which was only frozen can still settle the difference. A repeat changes nothing.
--
-- KEYS  1 meta  2 call record  3 leases  4 outbox  5 calls by idempotency key
--       6.. accounts of the call
-- ARGV  1 request id   2 result (JSON, for the ledger)   3 outcome for who repeats the call
-- Reply {'OK', cost, seq} | {'SKIP'} (renewed, settled or expired meanwhile)
local meta, call, leases, outbox, repeats = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local record = redis.call('HMGET', call, 'hold', 'chg', 'n', 'floor', 'floor_tally', 'facts', 'open',
  'granted', 'tally', 'idempotency_key')
if record[7] ~= '1' then
  redis.call('ZREM', leases, ARGV[1])
  return {'SKIP'}
end
local lapses = redis.call('ZSCORE', leases, ARGV[1])
local time = redis.call('TIME')
if not lapses or tonumber(lapses) > time[1] * 1000 + math.floor(time[2] / 1000) then
  return {'SKIP'}
end

local function differences(now, before)
  local earlier, parts = {}, {}
  for number in string.gmatch(before, '[^,]+') do earlier[#earlier + 1] = tonumber(number) end
  for number in string.gmatch(now, '[^,]+') do
    parts[#parts + 1] = string.format('%.0f', tonumber(number) - (earlier[#parts + 1] or 0))
  end
  return table.concat(parts, ',')
end

local number = tonumber(record[3]) + 1
local cost = math.max(tonumber(record[2]), tonumber(record[4]))
local difference = string.format('%.0f', cost - tonumber(record[2]))
cost = string.format('%.0f', cost)
-- Not '-' .. hold: '-0' is no number to HINCRBY, and what is held may be nothing.
local release = string.format('%.0f', 0 - tonumber(record[1]))
local tally = differences(record[5], record[9])
for i = 6, #KEYS do
  -- An account that is forgotten by now stays forgotten: it would never expire.
  if redis.call('EXISTS', KEYS[i]) == 1 then
    redis.call('HINCRBY', KEYS[i], 'held', release)
    redis.call('HINCRBY', KEYS[i], 'spent', difference)
  end
end
redis.call('HSET', call, 'hold', '0', 'chg', cost, 'n', number, 'tally', record[5])
redis.call('ZREM', leases, ARGV[1])
if record[10] then
  local first = redis.call('HGET', repeats, record[10])
  local request_id, fingerprint = string.match(first or '', '^(%S+) (%S+)')
  if request_id == ARGV[1] then
    redis.call('HSET', repeats, record[10], request_id .. ' ' .. fingerprint .. ' ' .. ARGV[3])
  end
end
local seq = redis.call('HINCRBY', meta, 'seq', 1)
redis.call('XADD', outbox, '*', 'kind', 'call', 'request_id', ARGV[1], 'entry_no', number,
  'cost', difference, 'total', cost, 'tally', tally, 'seq', seq, 'facts', record[6],
  'held', record[8], 'result', ARGV[2])
return {'OK', cost, tostring(seq)}
