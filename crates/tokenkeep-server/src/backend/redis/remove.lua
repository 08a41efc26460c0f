-- Keys and arguments: bindings/node/ts/server/backends/redis.ts, which has the same script.
local removed = redis.call('DEL', KEYS[1])
for _, name in ipairs(redis.call('SMEMBERS', KEYS[2])) do removed = removed + redis.call('DEL', name) end
redis.call('DEL', KEYS[2])
return removed
