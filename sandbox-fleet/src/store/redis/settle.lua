local tripped, trips, breakers, lease, keys = unpack(KEYS)
local changes, tool, epoch, replica, open_for, unused = unpack(ARGV)

local current, open_until = shared(breakers, tool)
if current ~= tonumber(epoch) or redis.call('GET', lease) ~= epoch .. ' ' .. replica then
    return {current, open_until}
end
if open_for ~= '' then
    redis.call('ZADD', keys, 'XX', now + unused, tool)
    return begin_epoch(breakers, lease, changes, tool, now + open_for)
end
redis.call('ZADD', keys, 'XX', now, tool)
redis.call('DEL', trips)
redis.call('ZREM', tripped, tool)
return begin_epoch(breakers, lease, changes, tool, 0)
