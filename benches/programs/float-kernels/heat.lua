-- Heat spreading over a plate by repeated averaging of neighbours.
-- lua: 5.1+

local SIZE, STEPS = 160, 700

local function plate(n)
  local grid = {}
  for i = 1, n do
    local row = {}
    for j = 1, n do row[j] = 0.0 end
    grid[i] = row
  end
  return grid
end

local function heat_edges(grid, n)
  for i = 1, n do
    grid[1][i] = 100.0
    grid[n][i] = 25.0
    grid[i][1] = 50.0
    grid[i][n] = i * 0.5
  end
end

local function relax(from, to, n)
  local change = 0
  for i = 2, n - 1 do
    local up, here, down, out = from[i - 1], from[i], from[i + 1], to[i]
    for j = 2, n - 1 do
      local value = 0.25 * (up[j] + down[j] + here[j - 1] + here[j + 1])
      local delta = value - here[j]
      if delta < 0 then delta = -delta end
      if delta > change then change = delta end
      out[j] = value
    end
  end
  return change
end

local a, b = plate(SIZE), plate(SIZE)
heat_edges(a, SIZE)
heat_edges(b, SIZE)
local change
for step = 1, STEPS do
  change = relax(a, b, SIZE)
  a, b = b, a
end

local sum = 0
for i = 1, SIZE do
  for j = 1, SIZE do sum = sum + a[i][j] end
end
print(string.format("last change %.8f", change))
print(string.format("sum %.6f", sum))
