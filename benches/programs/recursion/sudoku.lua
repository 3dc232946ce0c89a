-- Sudoku by backtracking over the cell with the fewest candidates.
-- lua: 5.1+

local puzzles = {
  "8..........36......7..9.2...5...7.......457.....1...3...1....68..85...1..9....4..",
  "..............3.85..1.2.......5.7.....4...1...9.......5......73..2.1........4...9",
  "4.....8.5.3..........7......2.....6.....8.4......1.......6.3.7.5..2.....1.4......",
}

local box_of = {}
for i = 0, 80 do
  local row, column = math.floor(i / 9), i % 9
  box_of[i + 1] = math.floor(row / 3) * 3 + math.floor(column / 3) + 1
end

local Grid = {}
Grid.__index = Grid

function Grid.new(text)
  local self = setmetatable({ cells = {}, rows = {}, columns = {}, boxes = {}, steps = 0 }, Grid)
  for i = 1, 9 do
    self.rows[i], self.columns[i], self.boxes[i] = {}, {}, {}
  end
  for i = 1, 81 do
    self.cells[i] = 0
    local digit = tonumber(text:sub(i, i))
    if digit then self:set(i, digit) end
  end
  return self
end

function Grid:groups(i)
  local row = math.floor((i - 1) / 9) + 1
  return self.rows[row], self.columns[(i - 1) % 9 + 1], self.boxes[box_of[i]]
end

function Grid:set(i, digit)
  local row, column, box = self:groups(i)
  row[digit], column[digit], box[digit] = true, true, true
  self.cells[i] = digit
end

function Grid:clear(i)
  local digit = self.cells[i]
  local row, column, box = self:groups(i)
  row[digit], column[digit], box[digit] = nil, nil, nil
  self.cells[i] = 0
end

function Grid:candidates(i)
  local row, column, box = self:groups(i)
  local count = 0
  for digit = 1, 9 do
    if not (row[digit] or column[digit] or box[digit]) then count = count + 1 end
  end
  return count
end

function Grid:tightest()
  local best, best_count
  for i = 1, 81 do
    if self.cells[i] == 0 then
      local count = self:candidates(i)
      if not best or count < best_count then
        best, best_count = i, count
        if count < 2 then break end
      end
    end
  end
  return best
end

function Grid:solve(limit)
  self.steps = self.steps + 1
  if self.steps > limit then return false end
  local i = self:tightest()
  if not i then return true end
  local row, column, box = self:groups(i)
  for digit = 1, 9 do
    if not (row[digit] or column[digit] or box[digit]) then
      self:set(i, digit)
      if self:solve(limit) then return true end
      self:clear(i)
    end
  end
  return false
end

-- Each puzzle in its three rotations too: the search goes another way.
local function rotate(text)
  local out = {}
  for row = 0, 8 do
    for column = 0, 8 do
      local i = (8 - column) * 9 + row + 1
      out[#out + 1] = text:sub(i, i)
    end
  end
  return table.concat(out)
end

for n, text in ipairs(puzzles) do
  for turn = 1, 4 do
    local grid = Grid.new(text)
    local solved = grid:solve(14000)
    print(n, turn, solved, grid.steps, table.concat(grid.cells))
    text = rotate(text)
  end
end
