-- Complex numbers with operators, compared and printed through metamethods.
-- lua: 5.1+

Complex = {}
Complex.__index = Complex

function Complex.new(re, im) return setmetatable({ re = re, im = im or 0 }, Complex) end

local function lift(v)
  if type(v) == "number" then return Complex.new(v, 0) end
  return v
end

function Complex.__add(a, b)
  a, b = lift(a), lift(b)
  return Complex.new(a.re + b.re, a.im + b.im)
end

function Complex.__sub(a, b)
  a, b = lift(a), lift(b)
  return Complex.new(a.re - b.re, a.im - b.im)
end

function Complex.__mul(a, b)
  a, b = lift(a), lift(b)
  return Complex.new(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re)
end

function Complex.__div(a, b)
  a, b = lift(a), lift(b)
  local d = b.re * b.re + b.im * b.im
  return Complex.new((a.re * b.re + a.im * b.im) / d, (a.im * b.re - a.re * b.im) / d)
end

function Complex.__pow(a, n)
  local result = Complex.new(1)
  for _ = 1, n do result = result * a end
  return result
end

function Complex.__lt(a, b) return a:norm() < b:norm() end
function Complex.__eq(a, b) return a.re == b.re and a.im == b.im end
function Complex.__tostring(a) return string.format("%.4f%+.4fi", a.re, a.im) end
function Complex.__concat(a, b) return tostring(a) .. tostring(b) end
function Complex:norm() return self.re * self.re + self.im * self.im end

-- Newton's method on z^3 - 1: which root each start falls to.
local roots = {
  Complex.new(1), Complex.new(-0.5, math.sqrt(3) / 2), Complex.new(-0.5, -math.sqrt(3) / 2),
}

local function basin(z)
  for step = 1, 30 do
    for i, root in ipairs(roots) do
      if (z - root):norm() < 1e-9 then return i, step end
    end
    z = z - (z ^ 3 - 1) / (3 * z ^ 2)
  end
  return 0, 30
end

local counts, steps = { [0] = 0, 0, 0, 0 }, 0
for row = 0, 103 do
  for column = 0, 103 do
    local which, n = basin(Complex.new(column / 40 - 1.27, row / 40 - 1.29))
    counts[which] = counts[which] + 1
    steps = steps + n
  end
end
print(counts[0], counts[1], counts[2], counts[3], steps)

local largest = Complex.new(0)
local z = Complex.new(0.3, 0.4)
for i = 1, 250000 do
  z = z * z + Complex.new(-0.2, 0.6)
  if largest < z then largest = z end
end
print("orbit " .. z .. " largest " .. largest, z == z + 0)
