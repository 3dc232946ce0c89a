-- Map, filter, fold, compose and partial application over lists.
-- lua: 5.1+

local List = {}

function List.range(a, b)
  local out = {}
  for i = a, b do out[#out + 1] = i end
  return out
end

function List.map(list, f)
  local out = {}
  for i, v in ipairs(list) do out[i] = f(v) end
  return out
end

function List.filter(list, keep)
  local out = {}
  for _, v in ipairs(list) do
    if keep(v) then out[#out + 1] = v end
  end
  return out
end

function List.fold(list, f, start)
  local acc = start
  for _, v in ipairs(list) do acc = f(acc, v) end
  return acc
end

function List.zip_with(a, b, f)
  local out = {}
  for i = 1, math.min(#a, #b) do out[i] = f(a[i], b[i]) end
  return out
end

local function compose(f, g)
  return function(x) return f(g(x)) end
end

local function add(n) return function(x) return x + n end end
local function multiply(n) return function(x) return x * n end end
local function divisible_by(n) return function(x) return x % n == 0 end end
local function negate(p) return function(x) return not p(x) end end
local function sum(a, b) return a + b end

local checksum = 0
local numbers = List.range(1, 2000)
for round = 1, 1300 do
  local step = compose(add(round), compose(multiply(3), add(-1)))
  local mapped = List.map(numbers, step)
  local kept = List.filter(mapped, divisible_by(round % 7 + 2))
  local others = List.filter(mapped, negate(divisible_by(5)))
  local zipped = List.zip_with(kept, others, function(a, b) return a * 2 - b end)
  checksum = (checksum + List.fold(zipped, sum, 0)) % 1000000007
end
print("checksum", string.format("%d", checksum))
