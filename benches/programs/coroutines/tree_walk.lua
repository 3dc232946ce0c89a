-- Trees compared leaf by leaf with recursive coroutines (the same-fringe problem).
-- lua: 5.1+

local yield = coroutine.yield

local function insert(tree, key)
  if not tree then return { key = key } end
  if key < tree.key then
    tree.left = insert(tree.left, key)
  elseif key > tree.key then
    tree.right = insert(tree.right, key)
  end
  return tree
end

local function walk(tree)
  if tree then
    walk(tree.left)
    yield(tree.key)
    walk(tree.right)
  end
end

local function iterate(tree)
  return coroutine.wrap(function() walk(tree) end)
end

local function same_fringe(a, b)
  local x, y = iterate(a), iterate(b)
  local count = 0
  while true do
    local p, q = x(), y()
    if p ~= q then return false, count end
    if p == nil then return true, count end
    count = count + 1
  end
end

local function nested(list)
  return coroutine.wrap(function()
    for _, v in ipairs(list) do
      if type(v) == "table" then
        for inner in nested(v) do yield(inner) end
      else
        yield(v)
      end
    end
  end)
end

local seed = 4
local function random(n)
  seed = seed * 16807 % 2147483647
  return seed % n
end

local compared, equal = 0, 0
for round = 1, 220 do
  local a, b, keys = nil, nil, {}
  for i = 1, 1000 do
    local key = random(100000)
    keys[i] = key
    a = insert(a, key)
  end
  for i = #keys, 1, -1 do b = insert(b, keys[i]) end
  if round % 3 == 0 then b = insert(b, 100000 + round) end
  local same, count = same_fringe(a, b)
  compared = compared + count
  if same then equal = equal + 1 end
end
print("compared", compared, "equal", equal)

local flat = 0
local list = {}
for i = 1, 40 do list[i] = { i, { i * 2, { i * 3 } }, i * 4 } end
for _ = 1, 2000 do
  local place = 0
  for v in nested(list) do
    place = place + 1
    flat = (flat + v * place) % 1000003
  end
end
print("flat", flat)
