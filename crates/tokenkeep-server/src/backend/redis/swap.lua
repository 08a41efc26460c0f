-- Keys and arguments: bindings/node/ts/server/backends/redis.ts, which has the same script.
local turn = redis.call('GET', KEYS[2])
if turn and turn ~= ARGV[4] then return 2 end
if redis.call('GETRANGE', KEYS[1], 8, 23) ~= ARGV[1] then
  if ARGV[5] ~= '0' then redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[5]) end
  return redis.call('GET', KEYS[1]) or ''
end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
  if KEYS[3] then redis.call('SREM', KEYS[3], KEYS[1]) end
else
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  if KEYS[3] then
    redis.call('SADD', KEYS[3], KEYS[1])
    if redis.call('PTTL', KEYS[3]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[3], ARGV[3]) end
  end
end
if turn then redis.call('DEL', KEYS[2]) end
return 1
