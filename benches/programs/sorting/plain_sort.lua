-- table.sort without a comparator: integers, floats and strings; then unique and merge.
-- lua: 5.1+

local seed = 8
local function random(n)
  seed = seed * 16807 % 2147483647
  return seed % n
end

local function strings(n)
  local out = {}
  for i = 1, n do
    local parts = {}
    for k = 1, 3 + random(6) do parts[k] = string.char(97 + random(6)) end
    out[i] = table.concat(parts)
  end
  return out
end

local function numbers(n, divisor)
  local out = {}
  for i = 1, n do out[i] = random(1000000) / divisor end
  return out
end

local function unique(sorted)
  local out = {}
  for _, v in ipairs(sorted) do
    if v ~= out[#out] then out[#out + 1] = v end
  end
  return out
end

local function merge(a, b)
  local out, i, j = {}, 1, 1
  while i <= #a and j <= #b do
    if a[i] <= b[j] then
      out[#out + 1] = a[i]
      i = i + 1
    else
      out[#out + 1] = b[j]
      j = j + 1
    end
  end
  for k = i, #a do out[#out + 1] = a[k] end
  for k = j, #b do out[#out + 1] = b[k] end
  return out
end

local words, sum, letters = 0, 0, 0
for round = 1, 22 do
  local a, b = strings(5000), strings(5000)
  table.sort(a)
  table.sort(b)
  local all = unique(merge(a, b))
  words = words + #all
  for i = 1, #all, 10 do letters = (letters * 7 + all[i]:byte(-1)) % 1000003 end

  local x, y = numbers(15000, 1), numbers(15000, 8)
  table.sort(x)
  table.sort(y)
  local z = unique(merge(x, y))
  for i = 1, #z, 10 do sum = (sum * 3 + math.floor(z[i])) % 1000003 end
end
print(words, letters, string.format("%d", sum))
