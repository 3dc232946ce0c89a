-- A JSON scanner that calls handlers instead of building values, and a pretty printer on it.
-- lua: 5.1+

local byte, find, sub = string.byte, string.find, string.sub

local function scan(text, on)
  local at, depth = 1, 0
  local expecting_key = { false }
  while true do
    at = find(text, "[^%s,]", at)
    if not at then return depth == 0 end
    local c = byte(text, at)
    if c == 123 then
      on.open("{")
      depth = depth + 1
      expecting_key[depth + 1] = true
      at = at + 1
    elseif c == 91 then
      on.open("[")
      depth = depth + 1
      expecting_key[depth + 1] = false
      at = at + 1
    elseif c == 125 or c == 93 then
      on.close(c == 125 and "}" or "]")
      depth = depth - 1
      if expecting_key[depth + 1] ~= false then expecting_key[depth + 1] = true end
      at = at + 1
    elseif c == 34 then
      local stop = at
      repeat
        stop = find(text, '"', stop + 1, true)
      until byte(text, stop - 1) ~= 92
      local s = sub(text, at + 1, stop - 1)
      at = stop + 1
      if expecting_key[depth + 1] then
        on.key(s)
        at = find(text, ":", at, true) + 1
        expecting_key[depth + 1] = nil
      else
        on.value('"' .. s .. '"')
        if expecting_key[depth + 1] == nil then expecting_key[depth + 1] = true end
      end
    else
      local _, stop = find(text, "^[%w%.%-%+]+", at)
      on.value(sub(text, at, stop))
      at = stop + 1
      if expecting_key[depth + 1] == nil then expecting_key[depth + 1] = true end
    end
  end
end

local function pretty(text)
  local out, indent, fresh = {}, "", true
  local pending = nil
  local function line(s)
    out[#out + 1] = indent .. (pending and pending .. ": " or "") .. s
    pending = nil
  end
  local on = {
    open = function(c)
      line(c)
      indent = indent .. "  "
    end,
    close = function(c)
      indent = sub(indent, 3)
      line(c)
    end,
    key = function(k) pending = k end,
    value = line,
  }
  assert(scan(text, on))
  return table.concat(out, "\n"), #out
end

local function count(text)
  local totals = { keys = 0, values = 0, opens = 0, depth = 0, deepest = 0 }
  scan(text, {
    open = function()
      totals.opens = totals.opens + 1
      totals.depth = totals.depth + 1
      if totals.depth > totals.deepest then totals.deepest = totals.depth end
    end,
    close = function() totals.depth = totals.depth - 1 end,
    key = function() totals.keys = totals.keys + 1 end,
    value = function(v)
      totals.values = totals.values + (tonumber(v) and 1 or 0)
    end,
  })
  return totals
end

local parts = {}
for i = 1, 250 do
  parts[i] = string.format(
    '{"id": %d, "name": "n%d", "pos": [%d, %d, {"deep": [true, [%d]]}], "note": "say \\"%d\\"", "ok": false}',
    i, i * 3, i % 10, -i, i * i, i)
end
local text = "[" .. table.concat(parts, ", ") .. "]"

local lines, length, keys, values = 0, 0, 0, 0
for round = 1, 150 do
  local shown, n = pretty(text)
  lines, length = lines + n, length + #shown
  local totals = count(text)
  keys, values = keys + totals.keys, values + totals.values + totals.deepest
end
print(lines, length, keys, values)
