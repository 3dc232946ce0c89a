-- Lifts in a tower: events, passengers, floors and a dispatcher, as objects.
-- lua: 5.1+

local Object = {}
Object.__index = Object
function Object:extend()
  local c = {}
  for k, v in pairs(self) do
    if k:find("^__") then c[k] = v end
  end
  c.__index, c.super = c, self
  return setmetatable(c, self)
end
function Object:new(...)
  local o = setmetatable({}, self)
  o:init(...)
  return o
end
function Object:init() end

local Passenger = Object:extend()
function Passenger:init(from, to, born) self.from, self.to, self.born = from, to, born end
function Passenger:up() return self.to > self.from end

local Lift = Object:extend()
function Lift:init(id, capacity)
  self.id, self.capacity = id, capacity
  self.floor, self.direction = 1, 1
  self.riders, self.stops = {}, {}
  self.travelled, self.delivered = 0, 0
end
function Lift:has_room() return #self.riders < self.capacity end
function Lift:board(passenger)
  table.insert(self.riders, passenger)
  self.stops[passenger.to] = true
end
function Lift:wanted_beyond()
  for floor in pairs(self.stops) do
    if self.direction > 0 and floor > self.floor then return true end
    if self.direction < 0 and floor < self.floor then return true end
  end
  return false
end

function Lift:step(tower)
  local left = tower:arrive(self)
  if left > 0 or self.stops[self.floor] then
    self.stops[self.floor] = nil
    return
  end
  if next(self.stops) == nil then return end
  if not self:wanted_beyond() then self.direction = -self.direction end
  self.floor = self.floor + self.direction
  self.travelled = self.travelled + 1
end

local Express = Lift:extend()
function Express:step(tower)
  Lift.step(self, tower)
  if not self.stops[self.floor] and tower:quiet(self.floor) then Lift.step(self, tower) end
end

local Tower = Object:extend()
function Tower:init(floors)
  self.floors, self.waiting, self.lifts = floors, {}, {}
  for i = 1, floors do self.waiting[i] = {} end
  self.time, self.wait_total, self.ride_total, self.done = 0, 0, 0, 0
end
function Tower:add(lift) self.lifts[#self.lifts + 1] = lift end
function Tower:quiet(floor) return #self.waiting[floor] == 0 end
function Tower:call(passenger)
  table.insert(self.waiting[passenger.from], passenger)
  local best, best_cost
  for _, lift in ipairs(self.lifts) do
    local cost = math.abs(lift.floor - passenger.from) + 2 * #lift.riders
    if not best or cost < best_cost then best, best_cost = lift, cost end
  end
  best.stops[passenger.from] = true
end

function Tower:arrive(lift)
  local floor, changed = lift.floor, 0
  for i = #lift.riders, 1, -1 do
    local rider = lift.riders[i]
    if rider.to == floor then
      table.remove(lift.riders, i)
      self.ride_total = self.ride_total + self.time - rider.born
      self.done = self.done + 1
      lift.delivered = lift.delivered + 1
      changed = changed + 1
    end
  end
  local queue = self.waiting[floor]
  while #queue > 0 and lift:has_room() do
    local passenger = table.remove(queue, 1)
    self.wait_total = self.wait_total + self.time - passenger.born
    lift:board(passenger)
    changed = changed + 1
  end
  if #queue > 0 then
    for _, other in ipairs(self.lifts) do
      if other ~= lift and other:has_room() then
        other.stops[floor] = true
        break
      end
    end
    lift.stops[floor] = nil
  end
  return changed
end

local seed = 1001
local function random(n)
  seed = seed * 16807 % 2147483647
  return seed % n + 1
end

local tower = Tower:new(30)
for i = 1, 5 do tower:add(Lift:new(i, 8)) end
tower:add(Express:new(6, 12))

for time = 1, 180000 do
  tower.time = time
  if random(10) <= 5 then
    local from, to = random(30), random(30)
    if random(3) == 1 then from = 1 end
    if from ~= to then tower:call(Passenger:new(from, to, time)) end
  end
  for _, lift in ipairs(tower.lifts) do lift:step(tower) end
end

print(tower.done, tower.wait_total, tower.ride_total)
for _, lift in ipairs(tower.lifts) do print(lift.id, lift.delivered, lift.travelled) end
