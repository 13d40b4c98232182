#!lua flags=allow-oom
-- Put the house rules where `reserve` compares their version; an older copy never replaces a newer
-- one. With allow-oom: a pause has to hold in a full Redis too.
--
-- KEYS  1 meta
-- ARGV  1 number of the version   2 whole version   3 rules (JSON)
-- Reply 1 when written, 0 when a newer one is there
local stored = redis.call('HGET', KEYS[1], 'rules_number')
if stored and tonumber(stored) > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'rules_number', ARGV[1], 'rules_version', ARGV[2], 'rules', ARGV[3])
return 1
