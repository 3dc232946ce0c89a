-- Anagram groups and letter counts: tables with computed string keys.
-- lua: 5.1+

local seed = 44
local function random(n)
  seed = seed * 16807 % 2147483647
  return seed % n
end

local function word()
  local letters = {}
  for i = 1, 3 + random(4) do letters[i] = string.char(97 + random(5)) end
  return table.concat(letters)
end

local function signature(w)
  local letters = { w:byte(1, -1) }
  table.sort(letters)
  return string.char((table.unpack or unpack)(letters))
end

local groups, distinct, seen = {}, 0, {}
for _ = 1, 350000 do
  local w = word()
  if not seen[w] then
    seen[w] = true
    distinct = distinct + 1
  end
  local key = signature(w)
  local group = groups[key]
  if group then
    group[w] = (group[w] or 0) + 1
  else
    groups[key] = { [w] = 1 }
  end
end

local count, largest, most, heavy = 0, 0, 0, 0
for key, group in pairs(groups) do
  count = count + 1
  local n = 0
  for w, times in pairs(group) do
    n = n + 1
    if times > most then most = times end
    heavy = heavy + times * #w
  end
  if n > largest then largest = n end
end
print(count, distinct, largest, most, heavy)
