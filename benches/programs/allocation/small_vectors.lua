-- Small tables returned from functions and thrown away: vectors, ranges, pairs.
-- lua: 5.1+

local function vec(x, y) return { x = x, y = y } end
local function add(a, b) return vec(a.x + b.x, a.y + b.y) end
local function scale(a, k) return vec(a.x * k, a.y * k) end
local function rotate(a) return vec(-a.y, a.x) end
local function min_max(list)
  local lo, hi = list[1], list[1]
  for i = 2, #list do
    if list[i] < lo then lo = list[i] end
    if list[i] > hi then hi = list[i] end
  end
  return { lo = lo, hi = hi }
end

local function walk(steps)
  local at, direction = vec(0, 0), vec(1, 0)
  local seed = 5
  local turns = 0
  for _ = 1, steps do
    seed = seed * 16807 % 2147483647
    if seed % 4 == 0 then
      direction = rotate(direction)
      turns = turns + 1
    end
    at = add(at, scale(direction, seed % 3 + 1))
  end
  return at, turns
end

local at, turns = walk(1200000)
print(string.format("%d %d %d", at.x, at.y, turns))

local spread = 0
for i = 1, 350000 do
  local r = min_max({ i % 7, i % 11, i % 13, i % 5 })
  spread = spread + r.hi - r.lo
end
print("spread", spread)
