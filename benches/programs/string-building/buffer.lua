-- A string buffer object, an indenting writer and an HTML builder on top of it.
-- lua: 5.1+

local Buffer = {}
Buffer.__index = Buffer

function Buffer.new() return setmetatable({ n = 0, depth = 0 }, Buffer) end

function Buffer:add(...)
  for i = 1, select("#", ...) do
    self.n = self.n + 1
    self[self.n] = tostring((select(i, ...)))
  end
  return self
end

function Buffer:line(...)
  self:add(("  "):rep(self.depth))
  return self:add(...):add("\n")
end

function Buffer:indent() self.depth = self.depth + 1 end
function Buffer:dedent() self.depth = self.depth - 1 end
function Buffer:tostring() return table.concat(self, "", 1, self.n) end

local function attributes(attrs)
  local out = ""
  for _, pair in ipairs(attrs) do out = out .. " " .. pair[1] .. '="' .. pair[2] .. '"' end
  return out
end

local function element(buffer, name, attrs, children)
  buffer:line("<", name, attributes(attrs), ">")
  buffer:indent()
  for _, child in ipairs(children) do
    if type(child) == "function" then child(buffer) else buffer:line(child) end
  end
  buffer:dedent()
  buffer:line("</", name, ">")
end

local function item(i)
  return function(buffer)
    element(buffer, "li", { { "id", "i" .. i }, { "class", i % 2 == 0 and "even" or "odd" } }, {
      "number " .. i,
      function(b) b:line("<b>", i * i, "</b>") end,
    })
  end
end

local function page(n)
  local buffer = Buffer.new()
  local items = {}
  for i = 1, n do items[i] = item(i) end
  element(buffer, "html", { { "lang", "en" } }, {
    function(b) element(b, "ul", { { "data-count", n } }, items) end,
    function(b) b:line("<p>", ("x"):rep(n % 10), "</p>") end,
  })
  return buffer:tostring()
end

local length, sum = 0, 0
for n = 1, 480 do
  local text = page(n)
  length = length + #text
  sum = (sum * 7 + text:byte(#text - n) + select(2, text:gsub("\n", ""))) % 1000003
end
print(length, string.format("%d", sum))

-- Growing one string a character at a time, and turning it round.
local grown, flips = "", 0
for i = 1, 20000 do
  grown = grown .. string.char(97 + i % 26)
  if i % 300 == 0 then
    grown = grown:reverse()
    flips = flips + 1
  end
end
print(#grown, flips, grown:sub(1, 30))
