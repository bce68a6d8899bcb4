local replicas, tripped, trips, breakers, lease, keys, epochs = unpack(KEYS)
local changes, tool, replica, window, cooldown, quorum, live, map, most, unused, all_trips = unpack(ARGV)

-- Forgets the key that was last reported or tried longest ago, of those that can go.
local function makes_room()
    for _, other in ipairs(redis.call('ZRANGEBYSCORE', keys, '-inf', '(' .. now - window)) do
        local epoch, open_until = shared(breakers, other)
        if open_until == 0 or redis.call('ZSCORE', keys, other) + unused < now then
            redis.call('ZREM', keys, other)
            redis.call('ZREM', tripped, other)
            redis.call('DEL', all_trips .. other)
            if redis.call('HDEL', breakers, other) == 1 then
                stamp(breakers)
            end
            redis.call('HSET', epochs, map, math.max(epoch, redis.call('HGET', epochs, map) or 0))
            return true
        end
    end
    return false
end

local is_key = most ~= ''
if is_key then
    local has_place = redis.call('ZSCORE', keys, tool) or redis.call('ZCARD', keys) < tonumber(most) or makes_room()
    if not has_place then
        return {0, 0}
    end
    redis.call('ZADD', keys, now, tool)
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
if open_until > 0 then
    return {epoch, open_until}
end
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
if count < needed then
    return {epoch, open_until}
end
local least = is_key and tonumber(redis.call('HGET', epochs, map) or 0)
return begin_epoch(breakers, lease, changes, tool, now + cooldown, least or 0)
