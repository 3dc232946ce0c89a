-- Grass, rabbits and foxes on a grid, classes with inherited behaviour.
-- lua: 5.1+
-- held-out: true

local SIZE = 60

local World, Animal = {}, {}
World.__index, Animal.__index = World, Animal

local seed = 321
local function random(n)
  seed = seed * 16807 % 2147483647
  return seed % n + 1
end

function Animal.derive(fields)
  local class = setmetatable(fields, Animal)
  class.__index = class
  return class
end

function Animal:spawn(x, y)
  return setmetatable({ x = x, y = y, energy = self.start_energy, age = 0, alive = true }, self)
end

function Animal:wander()
  self.x = (self.x + random(3) - 3 + SIZE) % SIZE + 1
  self.y = (self.y + random(3) - 3 + SIZE) % SIZE + 1
end

function Animal:live(world)
  self.age = self.age + 1
  self.energy = self.energy - self.cost
  self:wander()
  self:eat(world)
  if self.energy <= 0 or self.age > self.max_age then
    self.alive = false
  elseif self.energy >= self.breed_at then
    self.energy = self.energy / 2
    local child = self.class:spawn(self.x, self.y)
    child.energy = self.energy
    world:add(child)
  end
end

local Rabbit = Animal.derive({ name = "rabbit", start_energy = 8, cost = 1, max_age = 40, breed_at = 16 })
Rabbit.class = Rabbit
function Rabbit:eat(world)
  local grass = world.grass[self.y]
  local bite = math.min(4, grass[self.x])
  grass[self.x] = grass[self.x] - bite
  self.energy = self.energy + bite
end

local Fox = Animal.derive({ name = "fox", start_energy = 20, cost = 1.5, max_age = 80, breed_at = 45 })
Fox.class = Fox
function Fox:eat(world)
  local prey = world:at(self.x, self.y)
  if prey then
    prey.alive = false
    self.energy = self.energy + 9
  end
end

function World.new()
  local self = setmetatable({ grass = {}, animals = {}, born = {}, index = {} }, World)
  for y = 1, SIZE do
    self.grass[y] = {}
    for x = 1, SIZE do self.grass[y][x] = random(8) end
  end
  return self
end

function World:add(animal) self.born[#self.born + 1] = animal end

function World:at(x, y)
  local found = self.index[y * 100 + x]
  if found and found.alive and found.class == Rabbit then return found end
end

function World:tick()
  for y = 1, SIZE do
    local row = self.grass[y]
    for x = 1, SIZE do
      if row[x] < 10 then row[x] = row[x] + 0.25 end
    end
  end
  self.index = {}
  for _, a in ipairs(self.animals) do
    if a.class == Rabbit then self.index[a.y * 100 + a.x] = a end
  end
  for _, a in ipairs(self.animals) do
    if a.alive then a:live(self) end
  end
  local living = {}
  for _, a in ipairs(self.animals) do
    if a.alive then living[#living + 1] = a end
  end
  for _, a in ipairs(self.born) do living[#living + 1] = a end
  self.animals, self.born = living, {}
end

local world = World.new()
for _ = 1, 300 do world:add(Rabbit:spawn(random(SIZE), random(SIZE))) end
for _ = 1, 25 do world:add(Fox:spawn(random(SIZE), random(SIZE))) end

local rabbits, foxes, history = 0, 0, 0
for tick = 1, 1100 do
  world:tick()
  rabbits, foxes = 0, 0
  for _, a in ipairs(world.animals) do
    if a.name == "rabbit" then rabbits = rabbits + 1 else foxes = foxes + 1 end
  end
  history = (history * 31 + rabbits * 7 + foxes) % 1000003
  if foxes == 0 then world:add(Fox:spawn(random(SIZE), random(SIZE))) end
  if rabbits < 5 then world:add(Rabbit:spawn(random(SIZE), random(SIZE))) end
end
print(rabbits, foxes, history)
