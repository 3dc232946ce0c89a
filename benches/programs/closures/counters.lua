-- Private state in closures: counters, stacks, generators, event handlers.
-- lua: 5.1+

local function counter(start, step)
  local value = start
  return {
    next = function()
      value = value + step
      return value
    end,
    reset = function() value = start end,
    peek = function() return value end,
  }
end

local function stack()
  local items, size = {}, 0
  local function push(v)
    size = size + 1
    items[size] = v
  end
  local function pop()
    if size == 0 then return nil end
    local v = items[size]
    items[size] = nil
    size = size - 1
    return v
  end
  return push, pop, function() return size end
end

local function emitter()
  local handlers = {}
  local function on(event, handler)
    handlers[event] = handlers[event] or {}
    table.insert(handlers[event], handler)
  end
  local function emit(event, value)
    for _, handler in ipairs(handlers[event] or {}) do handler(value) end
  end
  return on, emit
end

local evens, threes = counter(0, 2), counter(100, 3)
local push, pop, size = stack()
local on, emit = emitter()

local seen = { tick = 0, tock = 0, sum = 0 }
on("tick", function(v) seen.tick = seen.tick + 1 end)
on("tick", function(v) seen.sum = (seen.sum + v) % 1000003 end)
on("tock", function(v) seen.tock = seen.tock + v % 2 end)
for i = 1, 3 do
  local weight = i
  on("tick", function(v) push(v * weight % 1000) end)
end

for i = 1, 1800000 do
  local v = evens.next()
  if i % 3 == 0 then
    emit("tick", v)
  else
    emit("tock", threes.next())
  end
  if i % 1000 == 0 then evens.reset() end
end

local drained = 0
while size() > 0 do drained = (drained * 7 + pop()) % 1000003 end
print(seen.tick, seen.tock, seen.sum)
print(evens.peek(), threes.peek(), drained)
