"""The atomic scripts of the shared cache, in Lua; `shared` describes the keys and the protocol."""

from __future__ import annotations

from typing import Final

from peopleinfo.stores.cached.redis_client import Script

MAX_RESPONSE_SIZE: Final = 1024 * 1024  # bytes; a larger response is not cached
_MAX_FENCE_TTL: Final = 600  # seconds; the maximum of the setting
_MAX_TTL: Final = 3_600  # seconds; the maximum of the setting

_CLOCK: Final = (
    f"local longest_fence, longest_life, largest = {_MAX_FENCE_TTL * 1000}, {_MAX_TTL * 1000}, {MAX_RESPONSE_SIZE + 64}\n"
    """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function is_foreign(reply)
    if type(reply) ~= 'table' or not reply.err then return false end
    if string.sub(reply.err, 1, 9) ~= 'WRONGTYPE' then error(reply.err) end
    return true
end
"""
)
# KEYS: epoch, then values, lease and fences of each name. ARGV: id for a new epoch, quarantine of a new epoch (ms), …
# The third element of the reply for a name is the kind of an invalid value.
_VALIDATE: Final = (
    _CLOCK
    + """
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local epoch = redis.pcall('HMGET', KEYS[1], 'id', 'run', 'from')
local invalid = is_foreign(epoch)
if epoch[2] == run then
    local from = tonumber(epoch[3] or '')
    invalid = not (epoch[1] and from and from <= now + longest_fence)
    if not invalid and now < from then return {'cold'} end
end
if invalid or epoch[2] ~= run then
    redis.call('DEL', KEYS[1])
    redis.call('HSET', KEYS[1], 'id', ARGV[1], 'run', run, 'from', now + ARGV[2])
    return {'cold', '', invalid and 'epoch' or nil}
end
local function quarantined(fences)
    redis.call('ZADD', fences, now + ARGV[2], 'lost')
    return {'fenced', '', 'fences'}
end
local function fenced(fences)
    if is_foreign(redis.pcall('ZREMRANGEBYSCORE', fences, '-inf', now)) then
        redis.call('DEL', fences)
        return quarantined(fences)
    end
    if redis.call('EXISTS', fences) == 0 then return nil end
    if redis.call('ZREMRANGEBYSCORE', fences, now + longest_fence, '+inf') > 0 then return quarantined(fences) end
    return {'fenced'}
end
"""
)
# … page, token for a new lease, TTL of a lease (ms)
_READ_NAME: Final = (
    _VALIDATE
    + """
local function read(values, leases, fences)
    local bypass = fenced(fences)
    if bypass then return bypass end
    local entry = redis.pcall('HMGET', values, 'epoch', ARGV[3])
    local wrong = is_foreign(entry) and 'answer' or nil
    if entry[2] and entry[1] == epoch[1] then
        local left = redis.call('PTTL', values)
        if left >= 0 and left <= longest_life and #entry[2] <= largest then return {'hit', entry[2], left} end
        wrong = 'answer'
    end
    if wrong then redis.call('DEL', values) end
    local lease = redis.pcall('GET', leases)
    if is_foreign(lease) or lease and #lease ~= #ARGV[4] then lease, wrong = false, 'lease' end
    if not lease then
        lease = ARGV[4]
        redis.call('SET', leases, lease, 'PX', ARGV[5])
    end
    return {'miss', lease, wrong}
end
"""
)
READ: Final = Script("read", _READ_NAME + "return read(KEYS[2], KEYS[3], KEYS[4])")
# Replies {'each', reply of each name …}, or {'cold'}.
READ_MANY: Final = Script(
    "read_many",
    _READ_NAME
    + """
local replies = {'each'}
for i = 2, #KEYS, 3 do replies[#replies + 1] = read(KEYS[i], KEYS[i + 1], KEYS[i + 2]) end
return replies
""",
)
# … page, maximum of pages per name; then lease, TTL (ms) and response
_FILL_NAME: Final = (
    _VALIDATE
    + """
local function fill(values, lease, fences, token, life, response)
    local bypass = fenced(fences)
    if bypass then return bypass end
    if redis.pcall('GET', lease) ~= token then return {'lease_lost'} end
    if redis.pcall('HGET', values, 'epoch') ~= epoch[1] then redis.call('DEL', values) end
    if redis.call('HLEN', values) > tonumber(ARGV[4]) then return {'full'} end
    redis.call('HSET', values, 'epoch', epoch[1], ARGV[3], response)
    if redis.call('PTTL', values) < 0 then redis.call('PEXPIRE', values, life) end
    return {'kept'}
end
"""
)
FILL: Final = Script("fill", _FILL_NAME + "return fill(KEYS[2], KEYS[3], KEYS[4], ARGV[5], ARGV[6], ARGV[7])")
# The last three arguments for each name. Replies like READ_MANY.
FILL_MANY: Final = Script(
    "fill_many",
    _FILL_NAME
    + """
local replies = {'each'}
for i = 2, #KEYS, 3 do
    replies[#replies + 1] = fill(KEYS[i], KEYS[i + 1], KEYS[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5])
end
return replies
""",
)
# KEYS: values, lease, fences of each name. ARGV: token of the writer, TTL of its fence (ms).
FENCE: Final = Script(
    "fence",
    _CLOCK
    + """
for i = 1, #KEYS, 3 do
    redis.call('DEL', KEYS[i], KEYS[i + 1])
    if is_foreign(redis.pcall('ZADD', KEYS[i + 2], now + ARGV[2], ARGV[1])) then
        redis.call('DEL', KEYS[i + 2])
        redis.call('ZADD', KEYS[i + 2], now + ARGV[2], ARGV[1], now + ARGV[2], 'lost')
    end
end
""",
)
# KEYS as above. ARGV: token of the writer. The next reader repairs fences of a wrong type.
UNFENCE: Final = Script(
    "unfence",
    _CLOCK
    + """
for i = 1, #KEYS, 3 do
    redis.call('DEL', KEYS[i], KEYS[i + 1])
    is_foreign(redis.pcall('ZREM', KEYS[i + 2], ARGV[1]))
end
""",
)
# KEYS: values.
DISCARD: Final = Script("discard", "redis.call('DEL', KEYS[1])")
