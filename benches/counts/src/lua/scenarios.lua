-- One path of the interpreter or of a library each; see `mod.rs`.
local function add(a, b)
  return a + b
end

local Account = {}
Account.__index = Account
function Account:deposit(amount)
  self.balance = self.balance + amount
end
local Savings = setmetatable({}, { __index = Account })
Savings.__index = Savings

local Vector = {}
Vector.__index = Vector
Vector.__add = function(a, b)
  return setmetatable({ x = a.x + b.x, y = a.y + b.y }, Vector)
end

local function count(...)
  return select("#", ...)
end

local list, words, keys = {}, {}, {}
for i = 1, 500 do
  list[i] = i * 7919 % 1009
  words[i] = "word" .. i
  keys["key" .. i] = i
end
local text = table.concat(words, " ")

return {
["interp/integer-arithmetic"] = function()
  local a, b = 1, 7
  for i = 1, 20000 do
    a = (a * 31 + i) & 0xffff
    b = b ~ a // 3 % 11
  end
  return a + b
end,
["interp/float-arithmetic"] = function()
  local x, y = 0.5, 0.25
  for i = 1, 20000 do
    x = x * 0.99 + y / 3.0
    y = y - x * 0.01
  end
  return x + y
end,
["interp/branches"] = function()
  local a, b, c = 0, 0, 0
  for i = 1, 20000 do
    if i % 3 == 0 then
      a = a + 1
    elseif i % 5 == 0 or i < 100 then
      b = b + 1
    elseif not (i > 15000 and a ~= b) then
      c = c + 1
    end
  end
  return a + b + c
end,
["interp/while-loop"] = function()
  local i, n = 0, 0
  while i < 20000 do
    i = i + 1
    n = n + i
  end
  return n
end,
["interp/calls"] = function()
  local sum = 0
  for i = 1, 10000 do
    sum = add(sum, i)
  end
  return sum
end,
["interp/recursion"] = function()
  local function fib(n)
    return n < 2 and n or fib(n - 1) + fib(n - 2)
  end
  return fib(18)
end,
["interp/tail-calls"] = function()
  local function down(n, sum)
    if n == 0 then
      return sum
    end
    return down(n - 1, sum + n)
  end
  return down(10000, 0)
end,
["interp/varargs"] = function()
  local n = 0
  for i = 1, 5000 do
    n = n + count(i, i, i) + #{ n, i }
  end
  return n
end,
["interp/protected-calls"] = function()
  local n = 0
  for i = 1, 3000 do
    local _, value = pcall(add, n, i)
    n = value
  end
  return n
end,
["interp/errors"] = function()
  local n = 0
  for _ = 1, 500 do
    if not pcall(error, "no") then
      n = n + 1
    end
  end
  return n
end,
["interp/array-get-set"] = function()
  local t = list
  for _ = 1, 20 do
    for i = 2, #t do
      t[i] = t[i - 1] + t[i] & 1023
    end
  end
end,
["interp/field-get-set"] = function()
  local t = { a = 1, b = 2, c = 3 }
  for _ = 1, 10000 do
    t.a = t.b + t.c
    t.b = t.a - t.c
  end
  return t.a
end,
["interp/globals"] = function()
  counter = 0
  for _ = 1, 10000 do
    counter = counter + 1
  end
  return counter
end,
["interp/methods"] = function()
  local account = setmetatable({ balance = 0 }, Account)
  for i = 1, 10000 do
    account:deposit(i)
  end
  return account.balance
end,
["interp/inherited-methods"] = function()
  local account = setmetatable({ balance = 0 }, Savings)
  for i = 1, 10000 do
    account:deposit(i)
  end
  return account.balance
end,
["interp/metamethods"] = function()
  local sum, step = setmetatable({ x = 0, y = 0 }, Vector), setmetatable({ x = 1, y = 2 }, Vector)
  for _ = 1, 3000 do
    sum = sum + step
  end
  return sum.x
end,
["interp/records"] = function()
  local kept
  for i = 1, 5000 do
    kept = { x = i, y = i, name = "point" }
  end
  return kept.x
end,
["interp/arrays"] = function()
  local kept
  for i = 1, 5000 do
    kept = { i, i + 1, i + 2, i + 3 }
  end
  return kept[1]
end,
["interp/closures"] = function()
  local f
  for i = 1, 5000 do
    f = function()
      return i
    end
  end
  return f()
end,
["interp/upvalues"] = function()
  local n = 0
  local function bump()
    n = n + 1
  end
  for _ = 1, 10000 do
    bump()
  end
  return n
end,
["interp/pairs"] = function()
  local n = 0
  for _ = 1, 10 do
    for _, v in pairs(keys) do
      n = n + v
    end
  end
  return n
end,
["interp/ipairs"] = function()
  local n = 0
  for _ = 1, 20 do
    for _, v in ipairs(list) do
      n = n + v
    end
  end
  return n
end,
["interp/coroutines"] = function()
  local generate = coroutine.wrap(function()
    for i = 1, 4000 do
      coroutine.yield(i)
    end
  end)
  local n = 0
  for _ = 1, 4000 do
    n = n + generate()
  end
  return n
end,
["interp/concat"] = function()
  local n = 0
  for i = 1, 3000 do
    n = n + #("item " .. i .. " of " .. "many")
  end
  return n
end,
["lib/string.byte-sub"] = function()
  local n = 0
  for i = 1, 5000 do
    n = n + text:byte(i % #text + 1) + #text:sub(3, 7)
  end
  return n
end,
["lib/string.find-plain"] = function()
  local n = 0
  for _ = 1, 200 do
    n = n + text:find("word250", 1, true)
  end
  return n
end,
["lib/string.match"] = function()
  local n = 0
  for _ = 1, 2000 do
    n = n + #("key = value"):match("^(%w+)%s*=")
  end
  return n
end,
["lib/string.gmatch"] = function()
  local n = 0
  for word in text:gmatch("%a+%d+") do
    n = n + #word
  end
  return n
end,
["lib/string.gsub"] = function()
  local _, n = text:gsub("(%a+)(%d+)", "%2%1")
  return n
end,
["lib/string.format"] = function()
  local n = 0
  for i = 1, 2000 do
    n = n + #string.format("%5d %-8s %.3f", i, "name", i / 3)
  end
  return n
end,
["lib/tostring-tonumber"] = function()
  local n = 0
  for i = 1, 2000 do
    n = n + tonumber(tostring(i)) + tonumber(tostring(i + 0.5))
  end
  return n
end,
["lib/table.concat"] = function()
  local n = 0
  for _ = 1, 20 do
    n = n + #table.concat(words, ",")
  end
  return n
end,
["lib/table.insert-remove"] = function()
  local t = {}
  for i = 1, 3000 do
    table.insert(t, i)
  end
  for _ = 1, 3000 do
    table.remove(t)
  end
end,
["lib/table.sort"] = function()
  local t = {}
  for i = 1, #list do
    t[i] = i * 7919 % 1009
  end
  table.sort(t)
end,
["lib/table.sort-compared"] = function()
  local t = {}
  for i = 1, #list do
    t[i] = i * 7919 % 1009
  end
  table.sort(t, function(a, b)
    return a > b
  end)
end,
["lib/math"] = function()
  local n = 0
  for i = 1, 5000 do
    n = n + math.floor(i / 3) + math.max(i, 7) + math.abs(-i)
  end
  return n
end,
}
