-- A game's update loop: entities with components, systems over them, spawning and death.
-- lua: 5.1+
-- held-out: true

local seed = 20011
local function random(n)
  seed = (seed * 16807) % 2147483647
  return seed % n + 1
end

local WIDTH, HEIGHT = 320, 200

local world = { entities = {}, count = 0, nextId = 1, log = { spawned = 0, died = 0, hits = 0 } }

local function spawn(kind, components)
  local entity = { id = world.nextId, kind = kind, alive = true }
  for name, component in pairs(components) do
    entity[name] = component
  end
  world.nextId = world.nextId + 1
  world.count = world.count + 1
  world.entities[world.count] = entity
  world.log.spawned = world.log.spawned + 1
  return entity
end

local function spawnUnit(team)
  return spawn("unit", {
    position = { x = random(WIDTH), y = random(HEIGHT) },
    velocity = { x = random(9) - 5, y = random(9) - 5 },
    health = { now = 40 + random(30), most = 70 },
    weapon = { cooldown = random(20), every = 12 + random(10), damage = 3 + random(6) },
    team = team,
  })
end

local function spawnShot(from, dx, dy)
  return spawn("shot", {
    position = { x = from.position.x, y = from.position.y },
    velocity = { x = dx, y = dy },
    lifetime = { left = 30 },
    damage = from.weapon.damage,
    team = from.team,
  })
end

local systems = {}

function systems.move(entity, dt)
  local position, velocity = entity.position, entity.velocity
  position.x = position.x + velocity.x * dt
  position.y = position.y + velocity.y * dt
  if entity.kind == "unit" then
    if position.x < 0 or position.x > WIDTH then
      velocity.x = -velocity.x
      position.x = math.max(0, math.min(WIDTH, position.x))
    end
    if position.y < 0 or position.y > HEIGHT then
      velocity.y = -velocity.y
      position.y = math.max(0, math.min(HEIGHT, position.y))
    end
  end
end

function systems.age(entity)
  local lifetime = entity.lifetime
  if lifetime then
    lifetime.left = lifetime.left - 1
    if lifetime.left <= 0 then
      entity.alive = false
    end
  end
end

function systems.heal(entity)
  local health = entity.health
  if health and health.now < health.most then
    health.now = math.min(health.most, health.now + 0.05)
  end
end

function systems.shoot(entity)
  local weapon = entity.weapon
  if not weapon then
    return
  end
  weapon.cooldown = weapon.cooldown - 1
  if weapon.cooldown <= 0 then
    weapon.cooldown = weapon.every
    local dx, dy = random(13) - 7, random(13) - 7
    if dx ~= 0 or dy ~= 0 then
      spawnShot(entity, dx, dy)
    end
  end
end

-- Units by the cell of a coarse grid they stand in, rebuilt every frame.
local CELL = 20
local function buildGrid()
  local grid = {}
  for i = 1, world.count do
    local entity = world.entities[i]
    if entity.health and entity.alive then
      local key = math.floor(entity.position.x / CELL) * 100 + math.floor(entity.position.y / CELL)
      local cell = grid[key]
      if cell then
        cell[#cell + 1] = entity
      else
        grid[key] = { entity }
      end
    end
  end
  return grid
end

local function collide(grid)
  for i = 1, world.count do
    local shot = world.entities[i]
    if shot.kind == "shot" and shot.alive then
      local key = math.floor(shot.position.x / CELL) * 100 + math.floor(shot.position.y / CELL)
      for _, unit in ipairs(grid[key] or {}) do
        if unit.alive and unit.team ~= shot.team then
          local dx, dy = unit.position.x - shot.position.x, unit.position.y - shot.position.y
          if dx * dx + dy * dy < 36 then
            unit.health.now = unit.health.now - shot.damage
            world.log.hits = world.log.hits + 1
            shot.alive = false
            if unit.health.now <= 0 then
              unit.alive = false
            end
            break
          end
        end
      end
    end
  end
end

local function sweep()
  local kept = 0
  for i = 1, world.count do
    local entity = world.entities[i]
    if entity.alive then
      kept = kept + 1
      world.entities[kept] = entity
    else
      world.log.died = world.log.died + 1
    end
  end
  for i = kept + 1, world.count do
    world.entities[i] = nil
  end
  world.count = kept
end

local order = { systems.move, systems.age, systems.heal, systems.shoot }

local function frame(dt)
  for i = 1, world.count do
    local entity = world.entities[i]
    for _, system in ipairs(order) do
      system(entity, dt)
    end
  end
  collide(buildGrid())
  sweep()
end

local function census()
  local teams, shots = { 0, 0, 0 }, 0
  for _, entity in ipairs(world.entities) do
    if entity.kind == "unit" then
      teams[entity.team] = teams[entity.team] + 1
    else
      shots = shots + 1
    end
  end
  return teams, shots
end

for i = 1, 240 do
  spawnUnit(i % 3 + 1)
end
for step = 1, 1800 do
  frame(0.5)
  local teams = step % 50 == 0 and census()
  if teams then
    for team = 1, 3 do
      for _ = teams[team] + 1, 80 do
        spawnUnit(team)
      end
    end
  end
end

local teams, shots = census()
local sum = 0
for _, entity in ipairs(world.entities) do
  sum = sum + entity.position.x * 3 + entity.position.y * 7
end
print(string.format("teams %d %d %d, shots %d", teams[1], teams[2], teams[3], shots))
print(string.format("spawned %d, died %d, hits %d", world.log.spawned, world.log.died, world.log.hits))
print(string.format("positions %.3f", sum))
