-- A template filler: gsub with tables, functions and captures, escaping HTML.
-- lua: 5.1+

local escapes = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }

local function escape(text)
  return (text:gsub('[&<>"]', escapes))
end

local filters = {
  upper = string.upper,
  lower = string.lower,
  trim = function(s) return (s:gsub("^%s+", ""):gsub("%s+$", "")) end,
  title = function(s)
    return (s:gsub("(%a)(%w*)", function(first, rest) return first:upper() .. rest end))
  end,
  escape = escape,
}

local function render(template, values)
  return (template:gsub("{{%s*([%w_]+)%s*|?%s*(%a*)%s*}}", function(name, filter)
    local value = tostring(values[name])
    local f = filters[filter]
    if f then value = f(value) end
    return value
  end))
end

local page = [[
<h1>{{ title | title }}</h1>
<p class="intro">{{intro|escape}}</p>
<ul>
  <li>{{ first | upper }}</li><li>{{ second | lower }}</li><li>{{ count }}</li>
</ul>
<footer>{{ note | trim }} - ${user}, ${place}</footer>
]]

local function checksum(text, start)
  local sum = start
  for i = 1, #text, 7 do
    sum = (sum * 31 + text:byte(i)) % 1000003
  end
  return sum
end

local total, words, length = 0, 0, 0
for i = 1, 44000 do
  local html = render(page, {
    title = "page number " .. i,
    intro = "a < b & c > \"d\" " .. i % 17,
    first = "item" .. i % 31,
    second = "THING",
    count = i * 3,
    note = "   spaced out " .. i % 5 .. "  ",
  })
  html = html:gsub("%${(%w+)}", { user = "user" .. i % 10, place = "here" })
  local _, count = html:gsub("%f[%w]%w+", "")
  words = words + count
  length = length + #html
  total = checksum(html, total)
end
print(words, length, string.format("%d", total))
