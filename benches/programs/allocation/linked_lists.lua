-- Immutable lists: append, reverse, map and merge make new cells all the time.
-- lua: 5.1+

local function cons(head, tail) return { head, tail } end

local function from_range(a, b)
  local list = nil
  for i = b, a, -1 do list = cons(i, list) end
  return list
end

local function reverse(list)
  local out = nil
  while list do
    out = cons(list[1], out)
    list = list[2]
  end
  return out
end

local function map(list, f)
  local out = nil
  while list do
    out = cons(f(list[1]), out)
    list = list[2]
  end
  return reverse(out)
end

local function append(a, b)
  local out = b
  local back = reverse(a)
  while back do
    out = cons(back[1], out)
    back = back[2]
  end
  return out
end

local function merge(a, b)
  local out = nil
  while a and b do
    if a[1] <= b[1] then
      out, a = cons(a[1], out), a[2]
    else
      out, b = cons(b[1], out), b[2]
    end
  end
  return append(reverse(out), a or b)
end

local function length_and_sum(list)
  local n, sum = 0, 0
  while list do
    n = n + 1
    sum = (sum * 3 + list[1]) % 1000003
    list = list[2]
  end
  return n, sum
end

local total, cells = 0, 0
for round = 1, 2200 do
  local a = from_range(1, 100 + round % 50)
  local b = map(a, function(v) return v * 2 + round % 3 end)
  local c = merge(a, b)
  local d = append(reverse(c), map(b, function(v) return v % 10 end))
  local n, sum = length_and_sum(d)
  cells = cells + n
  total = (total + sum) % 1000003
end
print(cells, string.format("%d", total))
