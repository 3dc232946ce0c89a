-- Linear systems by elimination with pivoting, determinants and inverses.
-- lua: 5.1+

local abs = math.abs
local seed = 15

local function random()
  seed = seed * 16807 % 2147483647
  return seed / 2147483647 * 2 - 1
end

local function random_matrix(n)
  local m = {}
  for i = 1, n do
    m[i] = {}
    for j = 1, n do m[i][j] = random() end
    m[i][i] = m[i][i] + 2
  end
  return m
end

local function copy(m)
  local out = {}
  for i, row in ipairs(m) do
    out[i] = {}
    for j, v in ipairs(row) do out[i][j] = v end
  end
  return out
end

local function eliminate(m, rhs)
  local n, determinant = #m, 1
  for column = 1, n do
    local pivot = column
    for i = column + 1, n do
      if abs(m[i][column]) > abs(m[pivot][column]) then pivot = i end
    end
    if pivot ~= column then
      m[pivot], m[column] = m[column], m[pivot]
      rhs[pivot], rhs[column] = rhs[column], rhs[pivot]
      determinant = -determinant
    end
    determinant = determinant * m[column][column]
    for i = column + 1, n do
      local factor = m[i][column] / m[column][column]
      if factor ~= 0 then
        for j = column, n do m[i][j] = m[i][j] - factor * m[column][j] end
        for j = 1, #rhs[i] do rhs[i][j] = rhs[i][j] - factor * rhs[column][j] end
      end
    end
  end
  return determinant
end

local function back_substitute(m, rhs)
  local n = #m
  local x = {}
  for i = n, 1, -1 do
    x[i] = {}
    for c = 1, #rhs[i] do
      local sum = rhs[i][c]
      for j = i + 1, n do sum = sum - m[i][j] * x[j][c] end
      x[i][c] = sum / m[i][i]
    end
  end
  return x
end

local function residual(a, x, b)
  local worst = 0
  for i = 1, #a do
    for c = 1, #b[i] do
      local sum = 0
      for j = 1, #a do sum = sum + a[i][j] * x[j][c] end
      worst = math.max(worst, abs(sum - b[i][c]))
    end
  end
  return worst
end

local function identity(n)
  local m = {}
  for i = 1, n do
    m[i] = {}
    for j = 1, n do m[i][j] = i == j and 1 or 0 end
  end
  return m
end

for _, n in ipairs({ 20, 60, 150 }) do
  local a = random_matrix(n)
  local m, rhs = copy(a), identity(n)
  local determinant = eliminate(m, rhs)
  local inverse = back_substitute(m, rhs)
  print(n, string.format("%.6e", determinant), residual(a, inverse, identity(n)) < 1e-9)
end

local total = 0
for _ = 1, 1000 do
  local a, b = random_matrix(24), {}
  for i = 1, 24 do b[i] = { i, 1 } end
  local m, rhs = copy(a), copy(b)
  eliminate(m, rhs)
  local x = back_substitute(m, rhs)
  total = total + x[1][1] + x[24][2]
end
print(string.format("%.8f", total))
