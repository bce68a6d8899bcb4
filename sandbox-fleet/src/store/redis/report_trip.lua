local replicas, tripped, trips, breakers, lease = unpack(KEYS)
local changes, tool, replica, window, cooldown, quorum, live = unpack(ARGV)

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
return begin_epoch(breakers, lease, changes, tool, now + cooldown)
