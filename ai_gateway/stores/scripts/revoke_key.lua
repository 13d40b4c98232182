#!lua flags=allow-oom
-- Revoke a key while SQL is away: no version is current, so that every worker loads it again, and
-- what comes from SQL cannot make it active before SQL knows of it.
--
-- KEYS  1 key record  2 revocations
-- ARGV  1 key id   2 who and when (JSON)
-- Reply 1
redis.call('HSET', KEYS[1], 'status', 'revoked', 'version', 'revoked')
redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[2])
return 1
