-- Closures created in loops: timers, undo steps, callbacks per element, lazily computed cells.
-- lua: 5.1+

local seed = 99
local function random(n)
  seed = (seed * 16807) % 2147483647
  return seed % n + 1
end

-- Each timer is a function over its own loop variables.
local function timers(count, ticks)
  local due, fired, sum = {}, 0, 0
  for i = 1, count do
    local period = random(7)
    local left = period
    due[i] = function(step)
      left = left - 1
      if left == 0 then
        left = period
        fired = fired + 1
        sum = (sum + i * step) % 1000003
      end
    end
  end
  for step = 1, ticks do
    for _, tick in ipairs(due) do
      tick(step)
    end
  end
  return fired, sum
end

-- An editor of numbers whose every change pushes a function that takes it back.
local function undo(size, changes)
  local cells, history = {}, {}
  for i = 1, size do
    cells[i] = i
  end
  for step = 1, changes do
    local at, by = random(size), random(100)
    local before = cells[at]
    cells[at] = before * 2 % 1009 + by
    history[#history + 1] = function()
      cells[at] = before
      return by
    end
    if step % 3 == 0 then
      table.remove(history)()
    end
  end
  local taken = 0
  while #history > size do
    taken = taken + table.remove(history)()
  end
  local sum = 0
  for i = 1, size do
    sum = sum + cells[i] * i
  end
  return taken, sum
end

local function each(list, action)
  for i = 1, #list do
    action(list[i], i)
  end
end

-- A fresh function for every row, which sees the row's own numbers.
local function rows(height, width)
  local total, heaviest = 0, 0
  for y = 1, height do
    local row, weight = {}, 0
    for x = 1, width do
      row[x] = (x * y) % 17
    end
    each(row, function(value, x)
      weight = weight + value * ((x + y) % 5)
    end)
    total = total + weight
    if weight > heaviest then
      heaviest = weight
    end
  end
  return total, heaviest
end

-- Cells of a sheet that are functions of other cells, computed once when asked.
local function sheet(count)
  local cells = {}
  for i = 1, count do
    local value
    local left, above = random(i), random(i)
    cells[i] = function()
      if not value then
        value = i
        if left < i then
          value = value + cells[left]()
        end
        if above < i then
          value = value + cells[above]()
        end
        value = value % 100003
      end
      return value
    end
  end
  local sum = 0
  for i = count, 1, -1 do
    sum = sum + cells[i]()
  end
  return sum
end

print("timers", timers(300, 2500))
print("undo", undo(500, 500000))
print("rows", rows(5000, 120))
local sum = 0
for _ = 1, 24 do
  sum = sum + sheet(5000)
end
print("sheet", sum)
