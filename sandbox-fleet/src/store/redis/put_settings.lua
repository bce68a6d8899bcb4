local settings = KEYS[1]
local changes, expected, version, text = unpack(ARGV)

if (redis.call('HGET', settings, 'version') or '0') ~= expected then
    return 0
end
redis.call('HSET', settings, 'version', version, 'text', text)
redis.call('PUBLISH', changes, '')
return 1
