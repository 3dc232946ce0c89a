-- Spheres and a floor traced with vectors that have arithmetic metamethods.
-- lua: 5.1+

local sqrt, huge = math.sqrt, math.huge

local Vector = {}
Vector.__index = Vector

local function vec(x, y, z) return setmetatable({ x = x, y = y, z = z }, Vector) end

Vector.__add = function(a, b) return vec(a.x + b.x, a.y + b.y, a.z + b.z) end
Vector.__sub = function(a, b) return vec(a.x - b.x, a.y - b.y, a.z - b.z) end
Vector.__unm = function(a) return vec(-a.x, -a.y, -a.z) end
Vector.__mul = function(a, b)
  if type(a) == "number" then return vec(a * b.x, a * b.y, a * b.z) end
  if type(b) == "number" then return vec(a.x * b, a.y * b, a.z * b) end
  return a.x * b.x + a.y * b.y + a.z * b.z
end
Vector.__eq = function(a, b) return a.x == b.x and a.y == b.y and a.z == b.z end

function Vector:length() return sqrt(self * self) end
function Vector:unit() return self * (1 / self:length()) end
function Vector:reflect(normal) return self - normal * (2 * (self * normal)) end

local Sphere = {}
Sphere.__index = Sphere

function Sphere.new(center, radius, shade, mirror)
  return setmetatable({ center = center, radius = radius, shade = shade, mirror = mirror }, Sphere)
end

function Sphere:hit(origin, direction)
  local oc = origin - self.center
  local b = oc * direction
  local d = b * b - (oc * oc - self.radius * self.radius)
  if d < 0 then return nil end
  local t = -b - sqrt(d)
  if t > 1e-4 then return t end
end

function Sphere:normal(point) return (point - self.center):unit() end

local Floor = {}
Floor.__index = Floor
function Floor:hit(origin, direction)
  if direction.y >= 0 then return nil end
  return -(origin.y + 1) / direction.y
end
function Floor:normal() return vec(0, 1, 0) end

local scene = {
  Sphere.new(vec(0, 0, 5), 1, 0.9, 0.3),
  Sphere.new(vec(1.5, -0.3, 4), 0.7, 0.6, 0.5),
  Sphere.new(vec(-1.6, 0.2, 4.5), 0.9, 0.8, 0.0),
  Sphere.new(vec(0.2, 1.6, 6), 0.6, 1.0, 0.1),
  setmetatable({ shade = 0.5, mirror = 0.15 }, Floor),
}
local light = vec(-3, 5, -2)

local function nearest(origin, direction)
  local best, found = huge, nil
  for _, object in ipairs(scene) do
    local t = object:hit(origin, direction)
    if t and t < best then best, found = t, object end
  end
  return found, best
end

local function trace(origin, direction, depth)
  local object, t = nearest(origin, direction)
  if not object then return 0.1 + 0.2 * (direction.y + 1) end
  local point = origin + direction * t
  local normal = object:normal(point)
  local to_light = (light - point):unit()
  local brightness = 0.1
  if not nearest(point + normal * 1e-3, to_light) then
    brightness = brightness + math.max(0, normal * to_light) * object.shade
  end
  if object.mirror > 0 and depth > 0 then
    brightness = brightness * (1 - object.mirror)
      + object.mirror * trace(point + normal * 1e-3, direction:reflect(normal), depth - 1)
  end
  return brightness
end

local WIDTH, HEIGHT = 280, 200
local shades = " .:-=+*#%@"
local sum, picture = 0, {}
for row = 0, HEIGHT - 1 do
  local line = {}
  for column = 0, WIDTH - 1 do
    local direction = vec((column - WIDTH / 2) / WIDTH * 1.4, (HEIGHT / 2 - row) / HEIGHT, 1):unit()
    local value = trace(vec(0, 0, -1), direction, 3)
    sum = sum + value
    if row % 12 == 0 and column % 5 == 0 then
      local i = math.min(10, math.floor(value * 10) + 1)
      line[#line + 1] = shades:sub(i, i)
    end
  end
  if row % 12 == 0 then picture[#picture + 1] = table.concat(line) end
end
print(table.concat(picture, "\n"))
print(string.format("%.6f", sum))
