-- A priority queue as a class over a binary heap: a bank's tellers by events, Huffman codes, merged streams.
-- lua: 5.1+
-- held-out: true

local seed = 4711
local function random(n)
  seed = (seed * 16807) % 2147483647
  return seed % n + 1
end

local Queue = {}
Queue.__index = Queue

function Queue.new(before)
  return setmetatable({ items = {}, size = 0, before = before }, Queue)
end

function Queue:push(item)
  local items, before = self.items, self.before
  self.size = self.size + 1
  local place = self.size
  items[place] = item
  while place > 1 do
    local parent = math.floor(place / 2)
    if not before(items[place], items[parent]) then
      break
    end
    items[place], items[parent] = items[parent], items[place]
    place = parent
  end
end

function Queue:pop()
  local items, before = self.items, self.before
  local top = items[1]
  if self.size == 0 then
    return nil
  end
  items[1] = items[self.size]
  items[self.size] = nil
  self.size = self.size - 1
  local place = 1
  while true do
    local child = place * 2
    if child > self.size then
      break
    end
    if child < self.size and before(items[child + 1], items[child]) then
      child = child + 1
    end
    if not before(items[child], items[place]) then
      break
    end
    items[place], items[child] = items[child], items[place]
    place = child
  end
  return top
end

function Queue:isEmpty()
  return self.size == 0
end

-- Customers arrive, wait for one of some tellers, are served and leave.
local function bank(tellers, customers)
  local events = Queue.new(function(a, b)
    if a.time ~= b.time then
      return a.time < b.time
    end
    return a.number < b.number
  end)
  local number, free, waiting, first = 0, tellers, {}, 1
  local waited, served, last = 0, 0, 0
  local handlers = {}
  local function schedule(time, kind, customer)
    number = number + 1
    events:push({ time = time, number = number, kind = kind, customer = customer })
  end
  local function serve(now, customer)
    free = free - 1
    waited = waited + (now - customer.arrived)
    schedule(now + customer.needs, "leave", customer)
  end
  function handlers.arrive(now, customer)
    if free > 0 then
      serve(now, customer)
    else
      waiting[#waiting + 1] = customer
    end
  end
  function handlers.leave(now)
    free = free + 1
    served = served + 1
    last = now
    local customer = waiting[first]
    if customer then
      waiting[first] = false
      first = first + 1
      serve(now, customer)
    end
  end
  local clock = 0
  for _ = 1, customers do
    clock = clock + random(10)
    schedule(clock, "arrive", { arrived = clock, needs = 5 + random(30) })
  end
  while not events:isEmpty() do
    local event = events:pop()
    handlers[event.kind](event.time, event.customer)
  end
  return served, waited, last
end

-- The code lengths of a Huffman tree over letters with random weights.
local function huffman(letters)
  local queue = Queue.new(function(a, b)
    if a.weight ~= b.weight then
      return a.weight < b.weight
    end
    return a.first < b.first
  end)
  for letter = 1, letters do
    queue:push({ weight = random(1000), first = letter })
  end
  while queue.size > 1 do
    local left, right = queue:pop(), queue:pop()
    queue:push({
      weight = left.weight + right.weight,
      first = math.min(left.first, right.first),
      left = left,
      right = right,
    })
  end
  local total, deepest = 0, 0
  local function walk(node, depth)
    if node.left then
      walk(node.left, depth + 1)
      walk(node.right, depth + 1)
    else
      total = total + node.weight * depth
      deepest = math.max(deepest, depth)
    end
  end
  walk(queue:pop(), 0)
  return total, deepest
end

-- Sorted streams merged into one by the heads that are smallest.
local function merge(streams, length)
  local queue = Queue.new(function(a, b)
    return a[a.at] < b[b.at] or (a[a.at] == b[b.at] and a.name < b.name)
  end)
  for name = 1, streams do
    local stream, value = { at = 1, name = name }, 0
    for i = 1, length do
      value = value + random(50)
      stream[i] = value
    end
    queue:push(stream)
  end
  local sum, place = 0, 0
  while not queue:isEmpty() do
    local stream = queue:pop()
    place = place + 1
    sum = (sum + stream[stream.at] * (place % 97)) % 1000000007
    stream.at = stream.at + 1
    if stream.at <= length then
      queue:push(stream)
    end
  end
  return sum, place
end

for tellers = 2, 5 do
  print("tellers", tellers, bank(tellers, 14000))
end
for round = 1, 12 do
  print("huffman", huffman(700 + round * 100))
end
print("merge", merge(64, 1200))
