-- A Julia set drawn in characters, with the iteration counts summed.
-- lua: 5.1+

local WIDTH, HEIGHT, MAX = 900, 600, 150

local shades = { " ", ".", ":", "-", "=", "+", "*", "#", "%", "@" }

local function iterate(x, y, cx, cy)
  for n = 1, MAX do
    local xx, yy = x * x, y * y
    if xx + yy > 4 then return n end
    y = 2 * x * y + cy
    x = xx - yy + cx
  end
  return MAX
end

local total = 0
local picture = {}
for row = 0, HEIGHT - 1 do
  local line = {}
  for column = 0, WIDTH - 1 do
    local x = (column / WIDTH - 0.5) * 3
    local y = (row / HEIGHT - 0.5) * 2.4
    local n = iterate(x, y, -0.74, 0.15)
    total = total + n
    if row % 30 == 0 and column % 15 == 0 then
      line[#line + 1] = shades[n % #shades + 1]
    end
  end
  if row % 30 == 0 then picture[#picture + 1] = table.concat(line) end
end

print(table.concat(picture, "\n"))
print("iterations", total)
