-- Wrappers that pass arguments through: memoising, tracing, binding, pcall, events.
-- lua: 5.1+

local unpack = table.unpack or unpack

local function pack(...) return { n = select("#", ...), ... } end

local calls = {}
local function traced(name, f)
  return function(...)
    calls[name] = (calls[name] or 0) + 1
    return f(...)
  end
end

local function bind(f, ...)
  local bound = pack(...)
  return function(...)
    local args = {}
    for i = 1, bound.n do args[i] = bound[i] end
    local extra = pack(...)
    for i = 1, extra.n do args[bound.n + i] = extra[i] end
    return f(unpack(args, 1, bound.n + extra.n))
  end
end

local function safely(f)
  return function(...)
    local results = pack(pcall(f, ...))
    if results[1] then return unpack(results, 2, results.n) end
    return nil, "failed"
  end
end

local function memoize(f)
  local cache = {}
  return function(...)
    local key = table.concat({ ... }, ",")
    local value = cache[key]
    if value == nil then
      value = f(...)
      cache[key] = value
    end
    return value
  end
end

local function mix(a, b, c, d) return (a * 7 + b * 5 + c * 3 + (d or 0)) % 1009 end
local function check(a, b)
  if a % 10 == 0 then error({ code = a }) end
  return a + b, a - b, a
end

local traced_mix = traced("mix", mix)
local bound = bind(traced_mix, 3, 4)
local safe = safely(traced("check", check))
local remembered = memoize(traced("memo", mix))

local sum, failures = 0, 0
for i = 1, 380000 do
  sum = (sum + bound(i % 50, i % 7)) % 1000003
  local x, y, z = safe(i, 2)
  if x then
    sum = (sum + x + y + z) % 1000003
  else
    failures = failures + 1
  end
  sum = (sum + remembered(i % 20, i % 3, 1, i % 2)) % 1000003
end
print(string.format("%d", sum), failures, calls.mix, calls.check, calls.memo)
