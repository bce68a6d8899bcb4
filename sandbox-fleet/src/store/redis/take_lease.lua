local breakers, lease = unpack(KEYS)
local tool, epoch, replica, lasts = unpack(ARGV)

local current, open_until = shared(breakers, tool)
if current ~= tonumber(epoch) or open_until == 0 or open_until > now then
    return 0
end
return redis.call('SET', lease, epoch .. ' ' .. replica, 'NX', 'PX', lasts) and 1 or 0
