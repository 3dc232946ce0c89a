-- Matrices as tables of rows: products, powers and transposes through a small module.
-- lua: 5.1+

local Matrix = {}
Matrix.__index = Matrix

function Matrix.new(rows, columns, f)
  local m = setmetatable({ rows = rows, columns = columns }, Matrix)
  for i = 1, rows do
    local row = {}
    for j = 1, columns do row[j] = f(i, j) end
    m[i] = row
  end
  return m
end

function Matrix:transpose()
  return Matrix.new(self.columns, self.rows, function(i, j) return self[j][i] end)
end

function Matrix.__mul(a, b)
  local n, p, q = a.rows, a.columns, b.columns
  local out = setmetatable({ rows = n, columns = q }, Matrix)
  local turned = b:transpose()
  for i = 1, n do
    local row, left = {}, a[i]
    for j = 1, q do
      local right, sum = turned[j], 0
      for k = 1, p do sum = sum + left[k] * right[k] end
      row[j] = sum
    end
    out[i] = row
  end
  return out
end

function Matrix:trace()
  local sum = 0
  for i = 1, self.rows do sum = sum + self[i][i] end
  return sum
end

local a = Matrix.new(240, 240, function(i, j) return (i * 3 + j * 7) % 11 - 5 end)
local b = Matrix.new(240, 240, function(i, j) return 1 / (i + j) end)
local c = a * b * a:transpose()
print(string.format("%.6f %.6f", c:trace(), c[3][100]))

local d = Matrix.new(180, 200, function(i, j) return i == j and 1 or (i - j) % 3 end)
local e = d * d:transpose()
for i = 1, e.rows do
  for j = 1, e.columns do e[i][j] = e[i][j] % 97 end
end
print(string.format("%d %d", (e * e):trace(), (e * e)[7][9]))

local m = Matrix.new(30, 30, function(i, j) return (i * j) % 5 / 60 end)
local power = m
for _ = 1, 100 do power = power * m end
print(string.format("%.8e", power:trace()))
