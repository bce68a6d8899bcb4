local replicas, says, tripped, breakers, settings = unpack(KEYS)
local replica, words, live, kept, trips, known = unpack(ARGV)

redis.call('ZADD', replicas, now, replica)
redis.call('HSET', says, replica, words)
redis.call('PEXPIRE', replicas, kept)
redis.call('PEXPIRE', says, kept)

-- Few at a time, so that no pulse takes long: the next one forgets others.
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', replicas, '-inf', '(' .. now - kept, 'LIMIT', 0, 10)) do
    forget(replicas, says, tripped, trips, gone)
end

local count = redis.call('ZCOUNT', replicas, now - live, '+inf')
local set = redis.call('HMGET', settings, 'version', 'stamp')
local stamp = redis.call('HGET', breakers, '') or '0'
local all = {}
if stamp ~= known then
    all = redis.call('HGETALL', breakers)
end
return {now, count, set[1] or '0', set[2] or '0', stamp, all}
