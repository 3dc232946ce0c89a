-- A recursive-descent parser and evaluator for a small language with variables.
-- lua: 5.1+

local Parser = {}
Parser.__index = Parser

local function tokenize(text)
  local tokens = {}
  local at = 1
  while at <= #text do
    local from, to = text:find("^%s+", at)
    if from then at = to + 1 end
    if at > #text then break end
    local number = text:match("^%d+%.?%d*", at)
    local name = text:match("^[%a_][%w_]*", at)
    if number then
      tokens[#tokens + 1] = { type = "number", value = tonumber(number) }
      at = at + #number
    elseif name then
      tokens[#tokens + 1] = { type = "name", value = name }
      at = at + #name
    else
      tokens[#tokens + 1] = { type = text:sub(at, at) }
      at = at + 1
    end
  end
  tokens[#tokens + 1] = { type = "end" }
  return tokens
end

function Parser.new(text)
  return setmetatable({ tokens = tokenize(text), at = 1 }, Parser)
end

function Parser:peek() return self.tokens[self.at].type end

function Parser:take(kind)
  local token = self.tokens[self.at]
  if kind and token.type ~= kind then
    error("expected " .. kind .. ", found " .. token.type, 0)
  end
  self.at = self.at + 1
  return token
end

function Parser:statement()
  if self:peek() == "name" and self.tokens[self.at + 1].type == "=" then
    local name = self:take("name").value
    self:take("=")
    return { "assign", name, self:expression() }
  end
  return self:expression()
end

function Parser:expression()
  local left = self:term()
  while self:peek() == "+" or self:peek() == "-" do
    local op = self:take().type
    left = { op, left, self:term() }
  end
  return left
end

function Parser:term()
  local left = self:unary()
  while self:peek() == "*" or self:peek() == "/" or self:peek() == "%" do
    local op = self:take().type
    left = { op, left, self:unary() }
  end
  return left
end

function Parser:unary()
  if self:peek() == "-" then
    self:take()
    return { "neg", self:unary() }
  end
  return self:primary()
end

function Parser:primary()
  local token = self:take()
  if token.type == "number" then return { "number", token.value } end
  if token.type == "name" then
    if self:peek() == "(" then
      self:take("(")
      local call = { "call", token.value }
      if self:peek() ~= ")" then
        repeat call[#call + 1] = self:expression() until self:peek() ~= "," or not self:take(",")
      end
      self:take(")")
      return call
    end
    return { "name", token.value }
  end
  if token.type == "(" then
    local inner = self:expression()
    self:take(")")
    return inner
  end
  error("unexpected " .. token.type, 0)
end

local library = { max = math.max, min = math.min, abs = math.abs, floor = math.floor }

local function evaluate(node, env)
  local kind = node[1]
  if kind == "number" then return node[2] end
  if kind == "name" then return env[node[2]] or error("undefined " .. node[2], 0) end
  if kind == "assign" then
    env[node[2]] = evaluate(node[3], env)
    return env[node[2]]
  end
  if kind == "neg" then return -evaluate(node[2], env) end
  if kind == "call" then
    local args = {}
    for i = 3, #node do args[#args + 1] = evaluate(node[i], env) end
    return library[node[2]]((table.unpack or unpack)(args))
  end
  local a, b = evaluate(node[2], env), evaluate(node[3], env)
  if kind == "+" then return a + b end
  if kind == "-" then return a - b end
  if kind == "*" then return a * b end
  if kind == "/" then return a / b end
  return a % b
end

local lines = {
  "x = 3 + 4 * (2 - 1) - 7 % 4",
  "y = max(x, 10, n % 17) * -2 + abs(-5)",
  "z = (x + y) * (x - y) / 4 + floor(12.5 / 3)",
  "w = min(z, x * x, 1000) % 97 + total % 1000",
  "total = (w + n * 3 - (y - 2) * 2) % 10007",
  "oops + 1",
  "1 + * 2",
}

local env, errors = { total = 1 }, 0
for n = 1, 6800 do
  env.n = n
  for _, line in ipairs(lines) do
    local ok, result = pcall(function()
      local parser = Parser.new(line)
      local tree = parser:statement()
      parser:take("end")
      return evaluate(tree, env)
    end)
    if not ok then errors = errors + #result end
  end
end
print(string.format("%.3f %.3f %.3f", env.x, env.z, env.total), errors)
