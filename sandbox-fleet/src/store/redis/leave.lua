local replicas, says, tripped, breakers = unpack(KEYS)
local replica, trips, leases = unpack(ARGV)

forget(replicas, says, tripped, trips, replica)
for _, tool in ipairs(redis.call('HKEYS', breakers)) do
    local holder = string.match(redis.call('GET', leases .. tool) or '', '^%d+ (.*)$')
    if holder == replica then
        redis.call('DEL', leases .. tool)
    end
end
