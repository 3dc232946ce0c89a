-- A warehouse of records: filter, group, aggregate, update through methods.
-- lua: 5.1+

local categories = { "tools", "paint", "wood", "garden", "light" }
local seed = 5
local function rnd(n)
  seed = (seed * 16807) % 2147483647
  return seed % n + 1
end

Inventory = {}
Inventory.__index = Inventory

function Inventory.new()
  return setmetatable({ items = {}, by_name = {} }, Inventory)
end

function Inventory:add(name, category, price, stock)
  local item = { name = name, category = category, price = price, stock = stock, sold = 0 }
  table.insert(self.items, item)
  self.by_name[name] = item
end

function Inventory:sell(name, count)
  local item = self.by_name[name]
  if not item then return 0 end
  if count > item.stock then count = item.stock end
  item.stock = item.stock - count
  item.sold = item.sold + count
  return count * item.price
end

function Inventory:restock(threshold, amount)
  local n = 0
  for _, item in ipairs(self.items) do
    if item.stock < threshold then
      item.stock = item.stock + amount
      n = n + 1
    end
  end
  return n
end

function Inventory:group()
  local groups = {}
  for _, item in ipairs(self.items) do
    local g = groups[item.category]
    if g == nil then
      g = { count = 0, value = 0, sold = 0 }
      groups[item.category] = g
    end
    g.count = g.count + 1
    g.value = g.value + item.price * item.stock
    g.sold = g.sold + item.sold
  end
  return groups
end

function Inventory:where(predicate)
  local found = {}
  for _, item in ipairs(self.items) do
    if predicate(item) then found[#found + 1] = item end
  end
  return found
end

local inventory = Inventory.new()
local names = {}
for i = 1, 400 do
  names[i] = "item" .. i
  inventory:add(names[i], categories[rnd(#categories)], rnd(90) + 10, rnd(50))
end

local income, restocked, cheap = 0, 0, 0
for day = 1, 17000 do
  for _ = 1, 150 do
    income = income + inventory:sell(names[rnd(400)], rnd(6))
  end
  restocked = restocked + inventory:restock(5, 40)
  if day % 10 == 0 then
    cheap = cheap + #inventory:where(function(item)
      return item.price < 40 and item.stock > 10
    end)
  end
end

print("income", income, "restocked", restocked, "cheap", cheap)
local groups = inventory:group()
for _, category in ipairs(categories) do
  local g = groups[category]
  print(category, g.count, g.value, g.sold)
end
