-- Keys and arguments: bindings/node/ts/server/backends/redis.ts, which has the same script.
local found = {}
local function look(name)
  if redis.call('EXISTS', name) == 0 then
    redis.call('SREM', KEYS[2], name)
  else
    found[#found + 1] = name
    found[#found + 1] = redis.call('GETRANGE', name, 8, 23)
  end
end
look(KEYS[1])
for _, name in ipairs(redis.call('SMEMBERS', KEYS[2])) do look(name) end
return found
