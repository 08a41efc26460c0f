-- Keys and arguments: bindings/node/ts/server/backends/redis.ts, which has the same script.
local removed = 0
for at = 2, #KEYS do
  if redis.call('GETRANGE', KEYS[at], 8, 23) == ARGV[at - 1] then
    removed = removed + redis.call('DEL', KEYS[at])
    redis.call('SREM', KEYS[1], KEYS[at])
  end
end
return removed
