local replicas, tripped, trips, breakers, lease, keys, epochs = unpack(KEYS)
local changes, tool, replica, window, cooldown, quorum, live, map, most, unused, all_trips = unpack(ARGV)

-- Where there are as many as may be, the place of the one that gives it away first.
local function takes_place()
    if redis.call('ZSCORE', keys, tool) or redis.call('ZCARD', keys) < tonumber(most) then
        return true
    end
    local other = redis.call('ZRANGEBYSCORE', keys, '-inf', '(' .. now, 'LIMIT', 0, 1)[1]
    if not other then
        return false
    end
    local epoch = shared(breakers, other)
    redis.call('HSET', epochs, map, math.max(epoch, redis.call('HGET', epochs, map) or 0))
    redis.call('ZREM', keys, other)
    redis.call('ZREM', tripped, other)
    redis.call('DEL', all_trips .. other)
    redis.call('HDEL', breakers, other)
    stamp(breakers)
    return true
end

local is_key = most ~= ''
if is_key and not takes_place() then
    return {0, 0}
end

-- A key is gone when all that is in it has lapsed.
local function keep(key, time)
    if redis.call('PTTL', key) < tonumber(time) then
        redis.call('PEXPIRE', key, time)
    end
end

-- By when they lapse.
redis.call('ZADD', trips, now + window, replica)
redis.call('ZREMRANGEBYSCORE', trips, '-inf', '(' .. now)
keep(trips, window)
redis.call('ZADD', tripped, 'GT', now + window, tool)
redis.call('ZREMRANGEBYSCORE', tripped, '-inf', '(' .. now)
keep(tripped, window)

local epoch, open_until = shared(breakers, tool)
local alive = now - live
local needed = tonumber(quorum) or math.max(2, math.ceil(redis.call('ZCOUNT', replicas, alive, '+inf') / 3))
-- Who is in both, with the last heartbeat.
local reporters = redis.call('ZINTER', 2, trips, replicas, 'WEIGHTS', 0, 1, 'WITHSCORES')
local count = 0
for i = 2, #reporters, 2 do
    if tonumber(reporters[i]) >= alive then
        count = count + 1
    end
end
local opens = open_until == 0 and count >= needed
if is_key then
    local lasts = (opens or open_until > 0) and unused or window
    redis.call('ZADD', keys, 'GT', now + lasts, tool)
end
if not opens then
    return {epoch, open_until}
end
local least = is_key and tonumber(redis.call('HGET', epochs, map) or 0)
return begin_epoch(breakers, lease, changes, tool, now + cooldown, least or 0)
