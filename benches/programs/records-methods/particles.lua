-- Particles bouncing in a box, as records with methods and a few kinds.
-- lua: 5.1+

local Particle = {}
Particle.__index = Particle

function Particle.new(x, y, vx, vy, kind)
  return setmetatable({ x = x, y = y, vx = vx, vy = vy, kind = kind, bounces = 0, age = 0 }, Particle)
end

function Particle:move(dt)
  self.x = self.x + self.vx * dt
  self.y = self.y + self.vy * dt
  self.age = self.age + 1
end

function Particle:bounce(box)
  if self.x < 0 then
    self.x, self.vx = -self.x, -self.vx
    self.bounces = self.bounces + 1
  elseif self.x > box.width then
    self.x, self.vx = 2 * box.width - self.x, -self.vx
    self.bounces = self.bounces + 1
  end
  if self.y < 0 then
    self.y, self.vy = -self.y, -self.vy
    self.bounces = self.bounces + 1
  elseif self.y > box.height then
    self.y, self.vy = 2 * box.height - self.y, -self.vy
    self.bounces = self.bounces + 1
  end
end

function Particle:pull(gravity, dt)
  if self.kind == "heavy" then
    self.vy = self.vy - gravity * dt
  elseif self.kind == "light" then
    self.vy = self.vy + gravity * dt * 0.1
  end
end

local kinds = { "heavy", "light", "free" }
local box = { width = 100, height = 60 }
local particles = {}
local seed = 2024
local function uniform()
  seed = (seed * 1664525 + 1013904223) % 4294967296
  return seed / 4294967296
end

for i = 1, 300 do
  particles[i] = Particle.new(uniform() * 100, uniform() * 60,
    uniform() * 20 - 10, uniform() * 20 - 10, kinds[i % 3 + 1])
end

for _ = 1, 10000 do
  for _, p in ipairs(particles) do
    p:pull(9.8, 0.01)
    p:move(0.01)
    p:bounce(box)
  end
end

local by_kind = {}
for _, p in ipairs(particles) do
  local entry = by_kind[p.kind] or { bounces = 0, energy = 0 }
  entry.bounces = entry.bounces + p.bounces
  entry.energy = entry.energy + p.vx * p.vx + p.vy * p.vy
  by_kind[p.kind] = entry
end
for _, kind in ipairs(kinds) do
  print(kind, by_kind[kind].bounces, string.format("%.6f", by_kind[kind].energy))
end
