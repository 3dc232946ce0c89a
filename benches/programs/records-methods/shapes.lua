-- Shapes of several classes in one list, asked through the same methods.
-- lua: 5.1+

local function class(parent)
  local c = {}
  c.__index = c
  if parent then setmetatable(c, { __index = parent }) end
  c.new = function(...)
    local self = setmetatable({}, c)
    self:init(...)
    return self
  end
  return c
end

local Shape = class()
function Shape:init(x, y) self.x, self.y = x, y end
function Shape:area() return 0 end
function Shape:move(dx, dy) self.x, self.y = self.x + dx, self.y + dy end
function Shape:contains() return false end
function Shape:density() return self:area() > 0 and 1 / self:area() or 0 end

local Circle = class(Shape)
function Circle:init(x, y, r)
  Shape.init(self, x, y)
  self.r = r
end
function Circle:area() return 3.14159 * self.r * self.r end
function Circle:contains(px, py)
  local dx, dy = px - self.x, py - self.y
  return dx * dx + dy * dy <= self.r * self.r
end

local Box = class(Shape)
function Box:init(x, y, w, h)
  Shape.init(self, x, y)
  self.w, self.h = w, h
end
function Box:area() return self.w * self.h end
function Box:contains(px, py)
  return px >= self.x and px <= self.x + self.w and py >= self.y and py <= self.y + self.h
end

local Square = class(Box)
function Square:init(x, y, side) Box.init(self, x, y, side, side) end

local Label = class(Shape)
function Label:init(x, y, text)
  Shape.init(self, x, y)
  self.text = text
end

local shapes = {}
for i = 1, 80 do
  local kind = i % 4
  if kind == 0 then
    shapes[i] = Circle.new(i, i * 2 % 50, 3 + i % 7)
  elseif kind == 1 then
    shapes[i] = Box.new(i * 3 % 70, i, 4 + i % 5, 9)
  elseif kind == 2 then
    shapes[i] = Square.new(i, i, 6)
  else
    shapes[i] = Label.new(i, 0, "label " .. i)
  end
end

local hits, area, density = 0, 0, 0
for tick = 1, 60000 do
  local px, py = tick % 90, tick * 7 % 60
  for _, shape in ipairs(shapes) do
    if shape:contains(px, py) then
      hits = hits + 1
      area = area + shape:area()
      shape:move(1, -1)
    end
    if tick % 10 == 0 then density = density + shape:density() end
  end
  if tick % 13 == 0 then
    for _, shape in ipairs(shapes) do
      shape:move(shape.x % 90 - shape.x, shape.y % 60 - shape.y)
    end
  end
end
print(hits, string.format("%.3f %.6f", area, density))
