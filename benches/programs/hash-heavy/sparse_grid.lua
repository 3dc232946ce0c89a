-- Life on an endless plane: cells in a table keyed by packed coordinates.
-- lua: 5.1+

local SPAN = 65536

local function key(x, y) return (y + 32768) * SPAN + x + 32768 end

local offsets = {}
for dy = -1, 1 do
  for dx = -1, 1 do
    if dx ~= 0 or dy ~= 0 then offsets[#offsets + 1] = dy * SPAN + dx end
  end
end

local function step(alive)
  local neighbours = {}
  for cell in pairs(alive) do
    for i = 1, #offsets do
      local k = cell + offsets[i]
      neighbours[k] = (neighbours[k] or 0) + 1
    end
  end
  local after = {}
  for cell, n in pairs(neighbours) do
    if n == 3 or (n == 2 and alive[cell]) then after[cell] = true end
  end
  return after
end

local function place(alive, x, y, rows)
  for dy, row in ipairs(rows) do
    for dx = 1, #row do
      if row:sub(dx, dx) == "#" then alive[key(x + dx, y + dy)] = true end
    end
  end
end

local alive = {}
place(alive, 0, 0, { ".##", "##.", ".#." })
place(alive, 60, 10, { ".#.....", "...#...", "##..###" })
place(alive, -80, -40, { "..#", "#.#", ".##" })
place(alive, -20, 70, { "######.#", "##.#####" })

local population, peak = 0, 0
for generation = 1, 2600 do
  alive = step(alive)
  local count = 0
  for _ in pairs(alive) do count = count + 1 end
  population = population + count
  if count > peak then peak = count end
end

local checksum = 0
for cell in pairs(alive) do checksum = (checksum + cell % 1000003) % 1000003 end
print(population, peak, string.format("%d", checksum))
