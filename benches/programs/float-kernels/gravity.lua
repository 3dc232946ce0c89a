-- Planets around a sun, advanced by leapfrog steps.
-- lua: 5.1+

local sqrt = math.sqrt

local function body(mass, x, y, z, vx, vy, vz)
  return { mass = mass, x = x, y = y, z = z, vx = vx, vy = vy, vz = vz, ax = 0, ay = 0, az = 0 }
end

local bodies = {
  body(1000, 0, 0, 0, 0, 0, 0),
  body(1, 10, 0, 0, 0, 10, 0.1),
  body(2, 0, 16, 0, -7.9, 0, 0),
  body(0.5, -22, 0, 1, 0, -6.7, 0.2),
  body(3, 0, -30, -1, 5.8, 0, 0),
  body(0.1, 40, 3, 2, -0.2, 5, 0),
}

local function accelerate()
  local n = #bodies
  for i = 1, n do
    local b = bodies[i]
    b.ax, b.ay, b.az = 0, 0, 0
  end
  for i = 1, n do
    local a = bodies[i]
    for j = i + 1, n do
      local b = bodies[j]
      local dx, dy, dz = b.x - a.x, b.y - a.y, b.z - a.z
      local d2 = dx * dx + dy * dy + dz * dz + 0.01
      local inv = 1 / (d2 * sqrt(d2))
      local fa, fb = b.mass * inv, a.mass * inv
      a.ax, a.ay, a.az = a.ax + dx * fa, a.ay + dy * fa, a.az + dz * fa
      b.ax, b.ay, b.az = b.ax - dx * fb, b.ay - dy * fb, b.az - dz * fb
    end
  end
end

local function step(dt)
  for _, b in ipairs(bodies) do
    b.vx = b.vx + b.ax * dt * 0.5
    b.vy = b.vy + b.ay * dt * 0.5
    b.vz = b.vz + b.az * dt * 0.5
    b.x = b.x + b.vx * dt
    b.y = b.y + b.vy * dt
    b.z = b.z + b.vz * dt
  end
  accelerate()
  for _, b in ipairs(bodies) do
    b.vx = b.vx + b.ax * dt * 0.5
    b.vy = b.vy + b.ay * dt * 0.5
    b.vz = b.vz + b.az * dt * 0.5
  end
end

local function energy()
  local e = 0
  for i, a in ipairs(bodies) do
    e = e + 0.5 * a.mass * (a.vx * a.vx + a.vy * a.vy + a.vz * a.vz)
    for j = i + 1, #bodies do
      local b = bodies[j]
      local dx, dy, dz = a.x - b.x, a.y - b.y, a.z - b.z
      e = e - a.mass * b.mass / sqrt(dx * dx + dy * dy + dz * dz + 0.01)
    end
  end
  return e
end

accelerate()
print(string.format("%.6f", energy()))
for _ = 1, 120000 do step(0.002) end
print(string.format("%.6f", energy()))
for i, b in ipairs(bodies) do
  print(i, string.format("%.6f %.6f %.6f", b.x, b.y, b.z))
end
