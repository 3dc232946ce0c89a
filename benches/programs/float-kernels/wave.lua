-- A plucked string with damping, sampled at a pickup.
-- lua: 5.1+
-- held-out: true

local POINTS, STEPS = 300, 6000

Wave = {}
Wave.__index = Wave

function Wave.new(points)
  local self = setmetatable({ now = {}, before = {}, points = points, time = 0 }, Wave)
  for i = 1, points do
    local x = (i - 1) / (points - 1)
    local height = x < 0.3 and x / 0.3 or (1 - x) / 0.7
    self.now[i], self.before[i] = height, height
  end
  return self
end

function Wave:advance(c, damping)
  local now, before = self.now, self.before
  local after = before
  local left = now[1]
  for i = 2, self.points - 1 do
    local here = now[i]
    local bend = left - 2 * here + now[i + 1]
    after[i] = here + (here - before[i]) * damping + c * bend
    left = here
  end
  self.now, self.before = after, now
  self.time = self.time + 1
end

function Wave:pickup(position)
  return self.now[math.floor(position * self.points)]
end

local wave = Wave.new(POINTS)
local loudness, zero_crossings, last = 0, 0, 0
for _ = 1, STEPS do
  for _ = 1, 8 do wave:advance(0.25, 0.9995) end
  local sample = wave:pickup(0.7)
  loudness = loudness + sample * sample
  if sample * last < 0 then zero_crossings = zero_crossings + 1 end
  last = sample
end
print(wave.time, zero_crossings, string.format("%.8f", loudness))
