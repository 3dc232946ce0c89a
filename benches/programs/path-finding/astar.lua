-- A* over a maze with a binary heap, nodes as tables, walls at random.
-- lua: 5.1+

local Heap = {}
Heap.__index = Heap

function Heap.new(less) return setmetatable({ items = {}, less = less }, Heap) end

function Heap:push(v)
  local items, less = self.items, self.less
  items[#items + 1] = v
  local i = #items
  while i > 1 do
    local parent = math.floor(i / 2)
    if not less(items[i], items[parent]) then break end
    items[i], items[parent] = items[parent], items[i]
    i = parent
  end
end

function Heap:pop()
  local items, less = self.items, self.less
  local top = items[1]
  local last = table.remove(items)
  if #items > 0 then
    items[1] = last
    local i = 1
    while true do
      local child = i * 2
      if child > #items then break end
      if child < #items and less(items[child + 1], items[child]) then child = child + 1 end
      if not less(items[child], items[i]) then break end
      items[i], items[child] = items[child], items[i]
      i = child
    end
  end
  return top
end

local SIZE = 150

local function make_grid(seed)
  local grid = {}
  for y = 1, SIZE do
    grid[y] = {}
    for x = 1, SIZE do
      seed = seed * 16807 % 2147483647
      grid[y][x] = { x = x, y = y, wall = seed % 100 < 22, cost = seed % 3 + 1 }
    end
  end
  grid[1][1].wall, grid[SIZE][SIZE].wall = false, false
  return grid
end

local directions = { { 1, 0 }, { 0, 1 }, { -1, 0 }, { 0, -1 } }

local function neighbours(grid, node)
  local out = {}
  for _, d in ipairs(directions) do
    local row = grid[node.y + d[2]]
    local other = row and row[node.x + d[1]]
    if other and not other.wall then out[#out + 1] = other end
  end
  return out
end

local function search(grid, start, goal)
  local serial = 0
  local open = Heap.new(function(a, b)
    if a.f ~= b.f then return a.f < b.f end
    return a.serial < b.serial
  end)
  start.g = 0
  open:push({ node = start, f = 0, serial = 0 })
  local expanded = 0
  while #open.items > 0 do
    local node = open:pop().node
    if node == goal then return goal.g, expanded end
    if not node.closed then
      node.closed = true
      expanded = expanded + 1
      for _, other in ipairs(neighbours(grid, node)) do
        local g = node.g + other.cost
        if not other.g or g < other.g then
          other.g, other.parent = g, node
          serial = serial + 1
          local h = math.abs(goal.x - other.x) + math.abs(goal.y - other.y)
          open:push({ node = other, f = g + h, serial = serial })
        end
      end
    end
  end
  return -1, expanded
end

local function path_length(node)
  local n = 0
  while node do
    node = node.parent
    n = n + 1
  end
  return n
end

for seed = 1, 7 do
  local grid = make_grid(seed * 1000)
  local cost, expanded = search(grid, grid[1][1], grid[SIZE][SIZE])
  print(seed, cost, expanded, path_length(grid[SIZE][SIZE]))
end
