-- Functions of any number of arguments, by select and by packing into tables.
-- lua: 5.1+

local unpack = table.unpack or unpack

function sum(...)
  local total = 0
  for i = 1, select("#", ...) do total = total + (select(i, ...)) end
  return total
end

function maximum(first, ...)
  local best = first
  for _, v in ipairs({ ... }) do
    if v > best then best = v end
  end
  return best
end

local function mean(...) return sum(...) / select("#", ...) end

local function variance(...)
  local m = mean(...)
  local total = 0
  for _, v in ipairs({ ... }) do total = total + (v - m) * (v - m) end
  return total / select("#", ...)
end

local function recursive_sum(first, ...)
  if first == nil then return 0 end
  return first + recursive_sum(...)
end

local function count_nils(...)
  local n = 0
  for i = 1, select("#", ...) do
    if select(i, ...) == nil then n = n + 1 end
  end
  return n
end

local window = { 0, 0, 0, 0, 0, 0, 0, 0, 0 }
local a, b, c, d, nils = 0, 0, 0, 0, 0
for i = 1, 400000 do
  window[i % 9 + 1] = i * 37 % 101
  a = a + sum(unpack(window))
  b = b + maximum(unpack(window))
  if i % 3 == 0 then c = c + variance(unpack(window)) end
  d = d + recursive_sum(i, 2, 3, i % 5)
  nils = nils + count_nils(nil, i, nil, i % 2 == 0 and i or nil)
end
print(a, b, string.format("%.4f", c), d, nils)
