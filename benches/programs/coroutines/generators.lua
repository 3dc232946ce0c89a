-- Generators with coroutine.wrap chained into pipelines.
-- lua: 5.1+

local function range(a, b, step)
  return coroutine.wrap(function()
    for i = a, b, step or 1 do coroutine.yield(i) end
  end)
end

local function filter(source, keep)
  return coroutine.wrap(function()
    for v in source do
      if keep(v) then coroutine.yield(v) end
    end
  end)
end

local function map(source, f)
  return coroutine.wrap(function()
    for v in source do coroutine.yield(f(v)) end
  end)
end

local function take(source, n)
  return coroutine.wrap(function()
    for _ = 1, n do
      local v = source()
      if v == nil then return end
      coroutine.yield(v)
    end
  end)
end

local function chunk(source, size)
  return coroutine.wrap(function()
    local part = {}
    for v in source do
      part[#part + 1] = v
      if #part == size then
        coroutine.yield(part)
        part = {}
      end
    end
    if #part > 0 then coroutine.yield(part) end
  end)
end

local function fibonacci()
  return coroutine.wrap(function()
    local a, b = 0, 1
    while true do
      coroutine.yield(a)
      a, b = b, (a + b) % 1000000007
    end
  end)
end

local sum, parts = 0, 0
local odd = filter(range(1, 1700000), function(n) return n % 2 == 1 end)
for part in chunk(map(odd, function(n) return n * n % 97 end), 16) do
  parts = parts + 1
  for _, v in ipairs(part) do sum = sum + v end
end

local fib = 0
for v in filter(take(fibonacci(), 750000), function(n) return n % 3 == 0 end) do
  fib = (fib + v) % 1000000007
end
print(parts, sum, string.format("%d", fib))
