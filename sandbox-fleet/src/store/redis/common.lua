-- What the scripts have in common. Times are the store's, in milliseconds: 13 digits, which Lua writes without loss.

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- The epoch of a breaker, and when it may be tried: 0 if it is closed.
local function shared(breakers, tool)
    local kept = redis.call('HGET', breakers, tool)
    if not kept then
        return 0, 0
    end
    local epoch, open_until = string.match(kept, '^(%d+) (%d+)$')
    return tonumber(epoch), tonumber(open_until)
end

-- The field without a name has a stamp that no other change has: who knows it knows all breakers.
local function stamp(breakers)
    redis.call('HSET', breakers, '', clock[1] .. '.' .. clock[2])
end

local function begin_epoch(breakers, lease, changes, tool, open_until, least)
    local epoch = math.max((shared(breakers, tool)), least or 0) + 1
    redis.call('HSET', breakers, tool, epoch .. ' ' .. open_until)
    stamp(breakers)
    redis.call('DEL', lease)
    redis.call('PUBLISH', changes, tool)
    return {epoch, open_until}
end

local function forget(replicas, says, tripped, trips, replica)
    redis.call('ZREM', replicas, replica)
    redis.call('HDEL', says, replica)
    for _, tool in ipairs(redis.call('ZRANGE', tripped, 0, -1)) do
        redis.call('ZREM', trips .. tool, replica)
    end
end
