local replicas, says = unpack(KEYS)
local live = ARGV[1]

local found = {}
for _, replica in ipairs(redis.call('ZRANGEBYSCORE', replicas, now - live, '+inf')) do
    table.insert(found, replica)
    table.insert(found, redis.call('HGET', says, replica) or '')
end
return found
