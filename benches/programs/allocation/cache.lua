-- A least-recently-used cache with a doubly linked list and evictions.
-- lua: 5.1+

local Cache = {}
Cache.__index = Cache

function Cache.new(capacity)
  local self = setmetatable({ capacity = capacity, size = 0, map = {}, hits = 0, misses = 0 }, Cache)
  self.head, self.tail = {}, {}
  self.head.next, self.tail.prev = self.tail, self.head
  return self
end

local function unlink(node)
  node.prev.next, node.next.prev = node.next, node.prev
end

function Cache:to_front(node)
  node.next, node.prev = self.head.next, self.head
  self.head.next.prev = node
  self.head.next = node
end

function Cache:get(key)
  local node = self.map[key]
  if not node then
    self.misses = self.misses + 1
    return nil
  end
  self.hits = self.hits + 1
  unlink(node)
  self:to_front(node)
  return node.value
end

function Cache:put(key, value)
  local node = self.map[key]
  if node then
    unlink(node)
  else
    node = { key = key }
    self.map[key] = node
    self.size = self.size + 1
    if self.size > self.capacity then
      local oldest = self.tail.prev
      unlink(oldest)
      self.map[oldest.key] = nil
      self.size = self.size - 1
    end
  end
  node.value = value
  self:to_front(node)
end

local seed = 13
local function random(n)
  seed = seed * 16807 % 2147483647
  return seed % n
end

local cache = Cache.new(500)
local sum = 0
for i = 1, 600000 do
  local key = random(40) < 30 and "hot" .. random(300) or "cold" .. random(20000)
  local found = cache:get(key)
  if found then
    sum = (sum + found.weight) % 1000003
  else
    cache:put(key, { weight = #key * i % 17, made = i })
  end
end
print(cache.hits, cache.misses, cache.size, sum)
