local settings = KEYS[1]
local changes, expected, version, text = unpack(ARGV)

if (redis.call('HGET', settings, 'version') or '0') ~= expected then
    return 0
end
-- In microseconds: 16 digits, of which Lua by itself writes 14.
local stamp = string.format('%.0f', clock[1] * 1000000 + clock[2])
redis.call('HSET', settings, 'version', version, 'text', text, 'stamp', stamp)
redis.call('PUBLISH', changes, '')
return 1
