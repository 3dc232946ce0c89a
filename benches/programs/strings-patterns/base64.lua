-- Base64 and run-length coding by bytes: string.byte, string.char, sub.
-- lua: 5.1+

local floor = math.floor
local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local value_of = {}
for i = 1, #alphabet do value_of[alphabet:sub(i, i)] = i - 1 end

local function encode(data)
  local out = {}
  for i = 1, #data, 3 do
    local a, b, c = data:byte(i, i + 2)
    local n = a * 65536 + (b or 0) * 256 + (c or 0)
    local d1, d2 = floor(n / 262144), floor(n / 4096) % 64
    local d3, d4 = floor(n / 64) % 64, n % 64
    out[#out + 1] = alphabet:sub(d1 + 1, d1 + 1)
    out[#out + 1] = alphabet:sub(d2 + 1, d2 + 1)
    out[#out + 1] = b and alphabet:sub(d3 + 1, d3 + 1) or "="
    out[#out + 1] = c and alphabet:sub(d4 + 1, d4 + 1) or "="
  end
  return table.concat(out)
end

local function decode(text)
  local out = {}
  text = text:gsub("[^%w%+/=]", "")
  for a, b, c, d in text:gmatch("(.)(.)(.)(.)") do
    local n = value_of[a] * 262144 + value_of[b] * 4096
      + (value_of[c] or 0) * 64 + (value_of[d] or 0)
    out[#out + 1] = string.char(floor(n / 65536))
    if c ~= "=" then out[#out + 1] = string.char(floor(n / 256) % 256) end
    if d ~= "=" then out[#out + 1] = string.char(n % 256) end
  end
  return table.concat(out)
end

local function squeeze(data)
  local out, i = {}, 1
  while i <= #data do
    local c = data:sub(i, i)
    local j = i
    while j < #data and j - i < 200 and data:sub(j + 1, j + 1) == c do j = j + 1 end
    out[#out + 1] = c .. string.char(j - i + 1)
    i = j + 1
  end
  return table.concat(out)
end

local seed = 17
local bytes = {}
for i = 1, 6001 do
  seed = seed * 16807 % 2147483647
  bytes[i] = string.char(seed % 3 == 0 and seed % 256 or 65)
end
local data = table.concat(bytes)

local total = 0
for round = 1, 220 do
  local text = encode(data)
  local back = decode(text)
  assert(back == data)
  local small = squeeze(data)
  for i = 1, #text, 101 do total = (total * 33 + text:byte(i) + #small) % 1000003 end
  data = data:sub(2) .. data:sub(1, 1)
end
print(#data, string.format("%d", total))
