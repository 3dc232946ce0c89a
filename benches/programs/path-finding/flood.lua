-- Islands on a map by flood fill, distances by rings, walls drawn from noise.
-- lua: 5.1+

local W, H = 140, 110
local seed = 88

local function noise_map()
  local map = {}
  for i = 1, W * H do
    seed = seed * 16807 % 2147483647
    map[i] = seed % 100 < 47 and 1 or 0
  end
  for _ = 1, 3 do
    local smooth = {}
    for y = 1, H do
      for x = 1, W do
        local n = 0
        for dy = -1, 1 do
          for dx = -1, 1 do
            local xx, yy = x + dx, y + dy
            if xx < 1 or yy < 1 or xx > W or yy > H then
              n = n + 1
            else
              n = n + map[(yy - 1) * W + xx]
            end
          end
        end
        smooth[(y - 1) * W + x] = n >= 5 and 1 or 0
      end
    end
    map = smooth
  end
  return map
end

local function fill(map, start, mark)
  local stack, size = { start }, 0
  map[start] = mark
  while #stack > 0 do
    local at = stack[#stack]
    stack[#stack] = nil
    size = size + 1
    local x = (at - 1) % W
    if x > 0 and map[at - 1] == 0 then
      map[at - 1] = mark
      stack[#stack + 1] = at - 1
    end
    if x < W - 1 and map[at + 1] == 0 then
      map[at + 1] = mark
      stack[#stack + 1] = at + 1
    end
    if map[at - W] == 0 then
      map[at - W] = mark
      stack[#stack + 1] = at - W
    end
    if map[at + W] == 0 then
      map[at + W] = mark
      stack[#stack + 1] = at + W
    end
  end
  return size
end

local function rings(map, start, mark)
  local distance, ring, far = { [start] = 0 }, { start }, 0
  while #ring > 0 do
    local outer = {}
    for _, at in ipairs(ring) do
      for _, step in ipairs({ -1, 1, -W, W }) do
        local to = at + step
        if map[to] == mark and not distance[to] then
          distance[to] = distance[at] + 1
          far = math.max(far, distance[to])
          outer[#outer + 1] = to
        end
      end
    end
    ring = outer
  end
  return far
end

for round = 1, 22 do
  local map = noise_map()
  local caves, largest, where, mark = 0, 0, nil, 1
  for i = 1, W * H do
    if map[i] == 0 then
      mark = mark + 1
      caves = caves + 1
      local size = fill(map, i, mark)
      if size > largest then largest, where = size, i end
    end
  end
  print(round, caves, largest, rings(map, where, map[where]))
end
