-- The 0/1 knapsack by dynamic programming over an array, choices traced back.
-- lua: 5.1+

local seed = 7
local function random(n)
  seed = (seed * 1664525 + 1013904223) % 4294967296
  return math.floor(seed / 4294967296 * n) + 1
end

local items = {}
for i = 1, 120 do
  items[i] = { weight = random(60), value = random(100) }
end

local function solve(items, capacity)
  local best, kept = {}, {}
  for w = 0, capacity do best[w] = 0 end
  for i, item in ipairs(items) do
    local row = {}
    local weight, value = item.weight, item.value
    for w = capacity, weight, -1 do
      local with = best[w - weight] + value
      if with > best[w] then
        best[w] = with
        row[w] = true
      end
    end
    kept[i] = row
  end
  local chosen, w = {}, capacity
  for i = #items, 1, -1 do
    if kept[i][w] then
      table.insert(chosen, 1, i)
      w = w - items[i].weight
    end
  end
  return best[capacity], chosen
end

for capacity = 500, 3600, 60 do
  local value, chosen = solve(items, capacity)
  local checksum = 0
  for place, index in ipairs(chosen) do
    checksum = (checksum * 17 + place * index) % 65521
  end
  print(capacity, value, #chosen, checksum)
end
