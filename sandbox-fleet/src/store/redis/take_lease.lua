local breakers, lease, keys = unpack(KEYS)
local tool, epoch, replica, lasts, unused = unpack(ARGV)

local current, open_until = shared(breakers, tool)
if current ~= tonumber(epoch) or open_until == 0 or open_until > now then
    return 0
end
if not redis.call('SET', lease, epoch .. ' ' .. replica, 'NX', 'PX', lasts) then
    return 0
end
redis.call('ZADD', keys, 'XX', now + unused, tool)
return 1
