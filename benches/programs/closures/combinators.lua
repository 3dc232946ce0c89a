-- Parser combinators: small parsers as functions, arithmetic grammars from them.
-- lua: 5.1+

-- A parser takes the text and a position; it returns the new position and a value, or nil.
local function char(set)
  return function(s, i)
    local c = s:sub(i, i)
    if c ~= "" and set:find(c, 1, true) then return i + 1, c end
  end
end

local function many1(p)
  return function(s, i)
    local out = {}
    local at, v = p(s, i)
    if not at then return nil end
    while at do
      out[#out + 1] = v
      i = at
      at, v = p(s, i)
    end
    return i, out
  end
end

local function seq(...)
  local parts = { ... }
  return function(s, i)
    local out = {}
    for n, p in ipairs(parts) do
      local at, v = p(s, i)
      if not at then return nil end
      out[n], i = v, at
    end
    return i, out
  end
end

local function choice(...)
  local options = { ... }
  return function(s, i)
    for _, p in ipairs(options) do
      local at, v = p(s, i)
      if at then return at, v end
    end
  end
end

local function map(p, f)
  return function(s, i)
    local at, v = p(s, i)
    if at then return at, f(v) end
  end
end

local function chain(operand, operator)
  return function(s, i)
    local at, left = operand(s, i)
    if not at then return nil end
    while true do
      local after, op = operator(s, at)
      if not after then return at, left end
      local over, right = operand(s, after)
      if not over then return at, left end
      left, at = op(left, right), over
    end
  end
end

local function lazy(f)
  return function(s, i) return f()(s, i) end
end

local expression
local number = map(many1(char("0123456789")), function(digits)
  return tonumber(table.concat(digits))
end)
local group = map(seq(char("("), lazy(function() return expression end), char(")")),
  function(v) return v[2] end)
local operators = {
  ["+"] = function(a, b) return (a + b) % 1000003 end,
  ["-"] = function(a, b) return (a - b) % 1000003 end,
  ["*"] = function(a, b) return (a * b) % 1000003 end,
}
local function operator(set)
  return map(char(set), function(c) return operators[c] end)
end
local factor = choice(number, group)
local term = chain(factor, operator("*"))
expression = chain(term, operator("+-"))

local seed = 31
local function random(n)
  seed = seed * 16807 % 2147483647
  return seed % n + 1
end
local function generate(depth)
  if depth == 0 or random(4) == 1 then return tostring(random(99)) end
  local op = ("+-*"):sub(random(3), -1):sub(1, 1)
  local body = generate(depth - 1) .. op .. generate(depth - 1)
  if random(2) == 1 then return "(" .. body .. ")" end
  return body
end

local total, length = 0, 0
for _ = 1, 14000 do
  local text = generate(6)
  local at, value = expression(text, 1)
  assert(at == #text + 1, text)
  total = (total * 31 + value) % 1000003
  length = length + #text
end
print(length, string.format("%d", total))
