-- Numerical integration and root finding over functions passed as arguments.
-- lua: 5.1+

local sin, cos, exp, abs, sqrt, log = math.sin, math.cos, math.exp, math.abs, math.sqrt, math.log

local numeric = {}

function numeric.simpson(f, a, b, n)
  local h = (b - a) / n
  local sum = f(a) + f(b)
  for i = 1, n - 1 do
    local weight = i % 2 == 0 and 2 or 4
    sum = sum + weight * f(a + i * h)
  end
  return sum * h / 3
end

function numeric.adaptive(f, a, b, eps)
  local function refine(a, fa, b, fb, m, fm, whole, eps, depth)
    local lm, rm = (a + m) / 2, (m + b) / 2
    local flm, frm = f(lm), f(rm)
    local left = (m - a) / 6 * (fa + 4 * flm + fm)
    local right = (b - m) / 6 * (fm + 4 * frm + fb)
    local delta = left + right - whole
    if depth <= 0 or abs(delta) <= 15 * eps then
      return left + right + delta / 15
    end
    return refine(a, fa, m, fm, lm, flm, left, eps / 2, depth - 1)
      + refine(m, fm, b, fb, rm, frm, right, eps / 2, depth - 1)
  end
  local m = (a + b) / 2
  local fa, fb, fm = f(a), f(b), f(m)
  return refine(a, fa, b, fb, m, fm, (b - a) / 6 * (fa + 4 * fm + fb), eps, 40)
end

function numeric.newton(f, x)
  for _ = 1, 60 do
    local y = f(x)
    local slope = (f(x + 1e-6) - f(x - 1e-6)) / 2e-6
    local nx = x - y / slope
    if abs(nx - x) < 1e-13 then return nx end
    x = nx
  end
  return x
end

local functions = {
  { "gauss", function(x) return exp(-x * x) end },
  { "wave", function(x) return sin(3 * x) * cos(x) + x end },
  { "root", function(x) return sqrt(x + 1) / (1 + x * x) end },
  { "log", function(x) return log(1 + x) * x end },
}

for _, entry in ipairs(functions) do
  local name, f = entry[1], entry[2]
  local fixed = numeric.simpson(f, 0, 4, 1800000)
  local fine = 0
  for k = 1, 60 do
    fine = fine + numeric.adaptive(f, 0, 4 - k / 100, 1e-11)
  end
  print(name, string.format("%.8f %.8f", fixed, fine))
end

local roots = 0
for k = 1, 20000 do
  roots = roots + numeric.newton(function(x) return x * x * x - k end, 1 + k / 600)
end
print("roots", string.format("%.6f", roots))
