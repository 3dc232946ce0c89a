-- Deep copies, deep comparison, paths and sums of nested tables.
-- lua: 5.1+

local function build(depth, breadth, mark)
  if depth == 0 then return mark end
  local t = { id = mark, tag = "level" .. depth }
  for i = 1, breadth do t[i] = build(depth - 1, breadth, mark * breadth % 1009 + i) end
  return t
end

local function copy(value)
  if type(value) ~= "table" then return value end
  local out = {}
  for k, v in pairs(value) do out[k] = copy(v) end
  return out
end

local function equal(a, b)
  if type(a) ~= type(b) then return false end
  if type(a) ~= "table" then return a == b end
  for k, v in pairs(a) do
    if not equal(v, b[k]) then return false end
  end
  for k in pairs(b) do
    if a[k] == nil then return false end
  end
  return true
end

local function total(value)
  if type(value) == "number" then return value end
  local sum = value.id
  for _, child in ipairs(value) do sum = sum + total(child) end
  return sum
end

local function depth_of(value)
  if type(value) ~= "table" then return 0 end
  local deepest = 0
  for _, child in ipairs(value) do deepest = math.max(deepest, depth_of(child)) end
  return deepest + 1
end

local function find(value, wanted, path)
  if type(value) ~= "table" then return value == wanted and path or nil end
  for i, child in ipairs(value) do
    local found = find(child, wanted, path .. "/" .. i)
    if found then return found end
  end
end

local tree = build(7, 4, 1)
local same, sum = 0, 0
for round = 1, 30 do
  local other = copy(tree)
  if equal(tree, other) then same = same + 1 end
  other[1][2][3].id = -round
  if not equal(tree, other) then same = same + 1 end
  sum = sum + total(other) + depth_of(other)
end
print(same, sum, find(tree, 1000, ""), find(tree, 77, ""))
