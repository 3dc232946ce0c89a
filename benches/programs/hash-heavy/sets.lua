-- Sets as tables: union, intersection, difference, power iteration over graphs of friends.
-- lua: 5.1+

local Set = {}

function Set.of(list)
  local s = {}
  for _, v in ipairs(list) do s[v] = true end
  return s
end

function Set.union(a, b)
  local out = {}
  for k in pairs(a) do out[k] = true end
  for k in pairs(b) do out[k] = true end
  return out
end

function Set.intersection(a, b)
  local out = {}
  for k in pairs(a) do
    if b[k] then out[k] = true end
  end
  return out
end

function Set.difference(a, b)
  local out = {}
  for k in pairs(a) do
    if not b[k] then out[k] = true end
  end
  return out
end

function Set.size(s)
  local n = 0
  for _ in pairs(s) do n = n + 1 end
  return n
end

local seed = 6
local function random(n)
  seed = seed * 16807 % 2147483647
  return seed % n + 1
end

local people = {}
for i = 1, 300 do people[i] = "p" .. i end
local friends = {}
for _, name in ipairs(people) do friends[name] = {} end
for _ = 1, 4000 do
  local a, b = people[random(300)], people[random(300)]
  if a ~= b then
    friends[a][b] = true
    friends[b][a] = true
  end
end

local common, either, apart = 0, 0, 0
for i = 1, 300 do
  for j = i + 1, math.min(i + 200, 300) do
    local a, b = friends[people[i]], friends[people[j]]
    common = common + Set.size(Set.intersection(a, b))
    either = either + Set.size(Set.union(a, b))
    apart = apart + Set.size(Set.difference(a, b))
  end
end
print(common, either, apart)

local function reach(start, steps)
  local seen, edge = Set.of({ start }), Set.of({ start })
  for _ = 1, steps do
    local next_edge = {}
    for name in pairs(edge) do
      for friend in pairs(friends[name]) do
        if not seen[friend] then
          seen[friend] = true
          next_edge[friend] = true
        end
      end
    end
    edge = next_edge
  end
  return Set.size(seen)
end

local total = 0
for i = 1, 300 do total = total + reach(people[i], 1 + i % 4) end
print(total)
