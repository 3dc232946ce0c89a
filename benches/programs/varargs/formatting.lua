-- A printf of our own, joins and multiple results through string.format.
-- lua: 5.1+

local out = {}
local function printf(format, ...)
  out[#out + 1] = string.format(format, ...)
end

local function join(separator, ...)
  local parts = { ... }
  for i = 1, select("#", ...) do parts[i] = tostring(parts[i]) end
  return table.concat(parts, separator)
end

local function swap(a, b, ...) return b, a, ... end

local function columns(widths, ...)
  local cells = {}
  for i = 1, select("#", ...) do
    local text = tostring((select(i, ...)))
    cells[i] = text .. string.rep(" ", widths[i] - #text)
  end
  return table.concat(cells, "|")
end

local function checksum(text)
  local h = 0
  for i = 1, #text, 5 do h = (h * 31 + text:byte(i)) % 1000003 end
  return h
end

local widths = { 10, 8, 6, 6 }
local total, length = 0, 0
for i = 1, 110000 do
  printf("%5d %-8s %6.2f %x", i, "name" .. i % 9, i / 8, i * 3)
  printf("%s=%s;%q", "key", tostring(i % 2 == 0), "v" .. i % 4)
  out[#out + 1] = join(",", swap(i, i + 1, i + 2, nil, "end"))
  out[#out + 1] = columns(widths, "row" .. i, i % 100, i % 7, true)
  if #out >= 400 then
    local text = table.concat(out, "\n")
    total = (total + checksum(text)) % 1000003
    length = length + #text
    out = {}
  end
end
print(length, string.format("%d", total))
