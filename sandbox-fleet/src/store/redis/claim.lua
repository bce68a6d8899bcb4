local claims = KEYS[1]
local replica = ARGV[1]
local turn, calls, per, share, used, wanted, stays, live, kept = unpack(ARGV, 2)
turn, calls, per, share, used = tonumber(turn), tonumber(calls), tonumber(per), tonumber(share), tonumber(used)
wanted, stays, live, kept = tonumber(wanted), stays == '1', tonumber(live), tonumber(kept)

-- What others may have begun, and what the live ones want.
local before, reserved, total = 0, 0, wanted
local wants = {{wanted, used, replica}}
local all = redis.call('HGETALL', claims)
for i = 1, #all, 2 do
    local other = all[i]
    local at, may, has, wish, seen, till = string.match(all[i + 1], '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
    if now > tonumber(till) then
        redis.call('HDEL', claims, other)
    elseif other == replica then
        before = tonumber(at)
        if turn <= before then
            return {0, before, redis.call('HLEN', claims)}
        end
    else
        reserved = reserved + may
        if now - seen <= live then
            table.insert(wants, {tonumber(wish), tonumber(has), other})
            total = total + wish
        end
    end
end

local function fair()
    if total <= calls then
        return wanted + math.floor((calls - total) / (#wants + 1))
    end
    -- Who comes last has what is left over: of several who want the same, one who has used least.
    table.sort(wants, function(one, other)
        if one[1] ~= other[1] then
            return one[1] < other[1]
        elseif one[2] ~= other[2] then
            return one[2] > other[2]
        end
        return one[3] < other[3]
    end)
    local left = calls
    for i, want in ipairs(wants) do
        local given = math.min(want[1], math.floor(left / (#wants - i + 1)))
        if want[3] == replica then
            return given
        end
        left = left - given
    end
end

local granted = 0
if stays then
    granted = math.max(0, math.min(fair(), calls - reserved))
    kept = math.max(per, kept)
else
    kept = per
end
local till = string.format('%.0f', now + kept)
local numbers = {turn, math.max(granted, share, used), used, wanted, now}
for i, number in ipairs(numbers) do
    numbers[i] = string.format('%.0f', number)
end
redis.call('HSET', claims, replica, table.concat(numbers, ' ') .. ' ' .. till)
if redis.call('PTTL', claims) < kept then
    redis.call('PEXPIRE', claims, string.format('%.0f', kept))
end
return {granted, before, redis.call('HLEN', claims)}
