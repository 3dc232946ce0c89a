-- JSON written and read back by a plain Lua encoder and decoder.
-- lua: 5.1+

local json = {}

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\t"] = "\\t" }
local unescapes = { n = "\n", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }

local function encode_string(s)
  return '"' .. s:gsub('["\\\n\t]', escapes) .. '"'
end

local encode
local function encode_table(t, out)
  if #t > 0 or next(t) == nil then
    out[#out + 1] = "["
    for i, v in ipairs(t) do
      if i > 1 then out[#out + 1] = "," end
      encode(v, out)
    end
    out[#out + 1] = "]"
  else
    local keys = {}
    for k in pairs(t) do keys[#keys + 1] = k end
    table.sort(keys)
    out[#out + 1] = "{"
    for i, k in ipairs(keys) do
      if i > 1 then out[#out + 1] = "," end
      out[#out + 1] = encode_string(k)
      out[#out + 1] = ":"
      encode(t[k], out)
    end
    out[#out + 1] = "}"
  end
end

function encode(v, out)
  local kind = type(v)
  if kind == "string" then
    out[#out + 1] = encode_string(v)
  elseif kind == "number" then
    out[#out + 1] = string.format("%.14g", v)
  elseif kind == "table" then
    encode_table(v, out)
  else
    out[#out + 1] = tostring(v)
  end
end

function json.encode(v)
  local out = {}
  encode(v, out)
  return table.concat(out)
end

local function skip(s, i) return s:find("%S", i) or #s + 1 end

local function fail(s, i, what)
  error(string.format("%s expected at %d", what, i))
end

local function decode_string(s, i)
  local parts = {}
  local from = i + 1
  while true do
    local at = s:find('["\\]', from)
    if not at then fail(s, i, "closing quote") end
    parts[#parts + 1] = s:sub(from, at - 1)
    if s:sub(at, at) == '"' then return table.concat(parts), at + 1 end
    parts[#parts + 1] = unescapes[s:sub(at + 1, at + 1)]
    from = at + 2
  end
end

local function decode_value(s, i)
  i = skip(s, i)
  local c = s:sub(i, i)
  if c == "{" then
    local object = {}
    i = skip(s, i + 1)
    if s:sub(i, i) == "}" then return object, i + 1 end
    while true do
      local key, value
      key, i = decode_string(s, skip(s, i))
      i = skip(s, i)
      if s:sub(i, i) ~= ":" then fail(s, i, "colon") end
      value, i = decode_value(s, i + 1)
      object[key] = value
      i = skip(s, i)
      local mark = s:sub(i, i)
      i = i + 1
      if mark == "}" then return object, i end
      if mark ~= "," then fail(s, i, "comma") end
    end
  elseif c == "[" then
    local list = {}
    i = skip(s, i + 1)
    if s:sub(i, i) == "]" then return list, i + 1 end
    while true do
      list[#list + 1], i = decode_value(s, i)
      i = skip(s, i)
      local mark = s:sub(i, i)
      i = i + 1
      if mark == "]" then return list, i end
      if mark ~= "," then fail(s, i, "comma") end
    end
  elseif c == '"' then
    return decode_string(s, i)
  elseif s:sub(i, i + 3) == "true" then
    return true, i + 4
  elseif s:sub(i, i + 4) == "false" then
    return false, i + 5
  end
  local number = s:match("^-?%d+%.?%d*[eE]?[+-]?%d*", i)
  if not number then fail(s, i, "value") end
  return tonumber(number), i + #number
end

function json.decode(s)
  local value = decode_value(s, 1)
  return value
end

local document = { title = "catalogue", items = {}, open = true, closed = false }
for i = 1, 300 do
  document.items[i] = {
    id = i,
    name = "item \"" .. i .. "\"",
    price = i * 1.25,
    tags = { "a" .. i % 7, "b\\" .. i % 3, "line\n" .. i % 5 },
    size = { w = i % 13, h = -i, d = { i, i / 4 } },
    none = {},
  }
end

local length, sum = 0, 0
local text = json.encode(document)
for round = 1, 68 do
  local value = json.decode(text)
  value.items[round].price = round
  for _, item in ipairs(value.items) do sum = sum + item.price + #item.name + item.size.d[2] end
  text = json.encode(value)
  length = length + #text
end
print(length, string.format("%.4f", sum))
print(text:sub(1, 60))
