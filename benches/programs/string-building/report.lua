-- A text report assembled with .., table.concat, string.format and string.rep.
-- lua: 5.1+

local function left(text, width)
  text = tostring(text)
  return text .. string.rep(" ", width - #text)
end

local function right(text, width)
  text = tostring(text)
  return string.rep(" ", width - #text) .. text
end

local function bar(n)
  local s = ""
  for i = 1, n do
    s = s .. (i % 5 == 0 and "+" or "=")
  end
  return s
end

local function thousands(n)
  local s = string.format("%d", n)
  local out = ""
  while #s > 3 do
    out = "," .. s:sub(-3) .. out
    s = s:sub(1, -4)
  end
  return s .. out
end

local function row(cells)
  return "| " .. table.concat(cells, " | ") .. " |"
end

local function report(month)
  local lines = { "Report for month " .. month, string.rep("-", 60) }
  local total = 0
  for i = 1, 40 do
    local amount = (i * 7919 * month) % 100000
    total = total + amount
    lines[#lines + 1] = row({
      left("item " .. i, 10), right(thousands(amount * 13), 12),
      left(bar(amount % 23), 24), right(string.format("%.1f%%", amount / 1000), 8),
    })
  end
  lines[#lines + 1] = string.rep("=", 60)
  lines[#lines + 1] = row({ left("total", 10), right(thousands(total), 12) })
  return table.concat(lines, "\n") .. "\n"
end

local length, checksum = 0, 0
for month = 1, 3600 do
  local text = report(month)
  length = length + #text
  for i = 1, #text, 97 do checksum = (checksum * 31 + text:byte(i)) % 1000003 end
end
print(length, string.format("%d", checksum))
print(report(3):sub(1, 200))
