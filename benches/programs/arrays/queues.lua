-- Queues, stacks and a circular buffer built on table.insert, remove and indices.
-- lua: 5.1+

Queue = {}
Queue.__index = Queue

function Queue.new() return setmetatable({ first = 1, last = 0, items = {} }, Queue) end

function Queue:push(v)
  self.last = self.last + 1
  self.items[self.last] = v
end

function Queue:pop()
  local v = self.items[self.first]
  if v == nil then return nil end
  self.items[self.first] = nil
  self.first = self.first + 1
  return v
end

-- The Josephus problem, three ways.
local function josephus_queue(n, k)
  local q = Queue.new()
  for i = 1, n do q:push(i) end
  local last
  while true do
    for _ = 1, k - 1 do q:push(q:pop()) end
    last = q:pop()
    if q.first > q.last then return last end
  end
end

local function josephus_remove(n, k)
  local circle = {}
  for i = 1, n do table.insert(circle, i) end
  local at = 1
  while #circle > 1 do
    at = (at + k - 2) % #circle + 1
    table.remove(circle, at)
  end
  return circle[1]
end

local function josephus_ring(n, k)
  local after = {}
  for i = 1, n do after[i] = i % n + 1 end
  local before = n
  for _ = 1, n - 1 do
    for _ = 1, k - 1 do before = after[before] end
    after[before] = after[after[before]]
  end
  return after[before]
end

local stack, depth_sum = {}, 0
for i = 1, 3000000 do
  if i % 5 == 0 or i % 7 == 0 then
    depth_sum = depth_sum + (table.remove(stack) or 0)
  else
    stack[#stack + 1] = i % 100
  end
end
print("stack", #stack, depth_sum)
for k = 2, 9 do
  print(k, josephus_queue(30000, k), josephus_ring(30000, k), josephus_remove(4000, k))
end
