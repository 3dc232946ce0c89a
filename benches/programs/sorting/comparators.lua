-- table.sort with comparison functions over records, by one and by several keys.
-- lua: 5.1+

local first = { "Ada", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hal" }
local last = { "Stone", "Reed", "Hill", "Marsh", "Wood", "Lake" }
local seed = 11
local function random(n)
  seed = seed * 16807 % 2147483647
  return seed % n + 1
end

local people = {}
for i = 1, 3000 do
  people[i] = {
    id = i,
    name = first[random(#first)] .. " " .. last[random(#last)],
    age = random(80),
    salary = random(900) * 100,
  }
end

local function by(field)
  return function(a, b)
    if a[field] ~= b[field] then return a[field] < b[field] end
    return a.id < b.id
  end
end

local function by_all(...)
  local fields = { ... }
  return function(a, b)
    for _, field in ipairs(fields) do
      if a[field] ~= b[field] then return a[field] < b[field] end
    end
    return a.id < b.id
  end
end

local function descending(less)
  return function(a, b) return less(b, a) end
end

local orders = {
  by("age"), by("name"), descending(by("salary")),
  by_all("name", "age"), by_all("age", "salary", "name"),
  function(a, b)
    local x, y = a.age * 1000 + a.salary / 100, b.age * 1000 + b.salary / 100
    if x == y then return a.id > b.id end
    return x > y
  end,
}

local checksum = 0
for round = 1, 28 do
  for _, less in ipairs(orders) do
    local copy = {}
    for i, p in ipairs(people) do copy[i] = p end
    table.sort(copy, less)
    for i = 1, #copy, 50 do checksum = (checksum * 31 + copy[i].id) % 1000003 end
  end
  people[round].age = people[round].age + 1
end
print("checksum", string.format("%d", checksum))
