-- Conway's Life on a torus kept in rows, with two buffers.
-- lua: 5.1+

local Life = {}
Life.__index = Life

function Life.new(w, h)
  local self = setmetatable({ w = w, h = h, generation = 0 }, Life)
  self.cells, self.spare = self:blank(), self:blank()
  return self
end

function Life:blank()
  local rows = {}
  for y = 1, self.h do
    rows[y] = {}
    for x = 1, self.w do rows[y][x] = 0 end
  end
  return rows
end

function Life:seed(n)
  for y = 1, self.h do
    for x = 1, self.w do
      n = n * 16807 % 2147483647
      self.cells[y][x] = n % 5 < 2 and 1 or 0
    end
  end
end

function Life:step()
  local w, h, cells, spare = self.w, self.h, self.cells, self.spare
  for y = 1, h do
    local above = cells[y == 1 and h or y - 1]
    local row = cells[y]
    local below = cells[y == h and 1 or y + 1]
    local out = spare[y]
    for x = 1, w do
      local l = x == 1 and w or x - 1
      local r = x == w and 1 or x + 1
      local n = above[l] + above[x] + above[r] + row[l] + row[r] + below[l] + below[x] + below[r]
      if n == 3 or (n == 2 and row[x] == 1) then out[x] = 1 else out[x] = 0 end
    end
  end
  self.cells, self.spare = spare, cells
  self.generation = self.generation + 1
end

function Life:population()
  local n = 0
  for _, row in ipairs(self.cells) do
    for _, cell in ipairs(row) do n = n + cell end
  end
  return n
end

function Life:draw(rows)
  local lines = {}
  for y = 1, rows do
    local line = {}
    for x = 1, self.w do line[x] = self.cells[y][x] == 1 and "#" or "." end
    lines[y] = table.concat(line)
  end
  return table.concat(lines, "\n")
end

local life = Life.new(90, 80)
life:seed(7)
local history = 0
for _ = 1, 950 do
  life:step()
  history = (history * 31 + life:population()) % 1000003
end
print(life.generation, life:population(), string.format("%d", history))
print(life:draw(6))
