-- Expression trees built at random, simplified into new trees, evaluated, dropped.
-- lua: 5.1+

local seed = 61
local function random(n)
  seed = seed * 16807 % 2147483647
  return seed % n
end

local ops = { "+", "-", "*" }

local function grow(depth)
  if depth == 0 or random(6) == 0 then
    if random(2) == 0 then return { kind = "num", value = random(10) } end
    return { kind = "var", name = random(2) == 0 and "x" or "y" }
  end
  return { kind = "op", op = ops[random(3) + 1], left = grow(depth - 1), right = grow(depth - 1) }
end

local function is_number(node, n) return node.kind == "num" and node.value == n end

local function simplify(node)
  if node.kind ~= "op" then return node end
  local left, right = simplify(node.left), simplify(node.right)
  local op = node.op
  if left.kind == "num" and right.kind == "num" then
    local a, b = left.value, right.value
    local v = op == "+" and a + b or op == "-" and a - b or a * b
    return { kind = "num", value = v % 10007 }
  end
  if op == "*" then
    if is_number(left, 0) or is_number(right, 0) then return { kind = "num", value = 0 } end
    if is_number(left, 1) then return right end
    if is_number(right, 1) then return left end
  elseif is_number(right, 0) then
    return left
  end
  return { kind = "op", op = op, left = left, right = right }
end

local function derive(node, by)
  if node.kind == "num" then return { kind = "num", value = 0 } end
  if node.kind == "var" then return { kind = "num", value = node.name == by and 1 or 0 } end
  local dl, dr = derive(node.left, by), derive(node.right, by)
  if node.op ~= "*" then return { kind = "op", op = node.op, left = dl, right = dr } end
  return {
    kind = "op", op = "+",
    left = { kind = "op", op = "*", left = dl, right = node.right },
    right = { kind = "op", op = "*", left = node.left, right = dr },
  }
end

local function size(node)
  if node.kind ~= "op" then return 1 end
  return 1 + size(node.left) + size(node.right)
end

local function evaluate(node, env)
  if node.kind == "num" then return node.value end
  if node.kind == "var" then return env[node.name] end
  local a, b = evaluate(node.left, env), evaluate(node.right, env)
  if node.op == "+" then return (a + b) % 10007 end
  if node.op == "-" then return (a - b) % 10007 end
  return a * b % 10007
end

local before, after, value = 0, 0, 0
for round = 1, 1700 do
  local tree = grow(9)
  local slope = derive(tree, round % 2 == 0 and "x" or "y")
  local small = simplify(slope)
  before, after = before + size(slope), after + size(small)
  local env = { x = round % 13, y = round % 7 }
  value = (value * 31 + evaluate(small, env) + evaluate(tree, env)) % 1000003
end
print(before, after, string.format("%d", value))
