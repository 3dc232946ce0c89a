-- Quicksort and shell sort written out, on random, sorted and repetitive input.
-- lua: 5.1+

local function insertion(a, lo, hi)
  for i = lo + 1, hi do
    local v = a[i]
    local j = i - 1
    while j >= lo and a[j] > v do
      a[j + 1] = a[j]
      j = j - 1
    end
    a[j + 1] = v
  end
end

function quicksort(a, lo, hi)
  while hi - lo > 12 do
    local mid = math.floor((lo + hi) / 2)
    if a[mid] < a[lo] then a[mid], a[lo] = a[lo], a[mid] end
    if a[hi] < a[lo] then a[hi], a[lo] = a[lo], a[hi] end
    if a[hi] < a[mid] then a[hi], a[mid] = a[mid], a[hi] end
    local pivot = a[mid]
    local i, j = lo, hi
    while i <= j do
      while a[i] < pivot do i = i + 1 end
      while a[j] > pivot do j = j - 1 end
      if i <= j then
        a[i], a[j] = a[j], a[i]
        i, j = i + 1, j - 1
      end
    end
    if j - lo < hi - i then
      quicksort(a, lo, j)
      lo = i
    else
      quicksort(a, i, hi)
      hi = j
    end
  end
  insertion(a, lo, hi)
end

function shellsort(a)
  local gap = 1
  while gap < #a / 3 do gap = 3 * gap + 1 end
  while gap >= 1 do
    for i = gap + 1, #a do
      local v, j = a[i], i
      while j > gap and a[j - gap] > v do
        a[j] = a[j - gap]
        j = j - gap
      end
      a[j] = v
    end
    gap = math.floor(gap / 3)
  end
end

local seed = 3
local function random()
  seed = seed * 16807 % 2147483647
  return seed
end

local makers = {
  random = function(n) local t = {} for i = 1, n do t[i] = random() end return t end,
  sorted = function(n) local t = {} for i = 1, n do t[i] = i end return t end,
  reversed = function(n) local t = {} for i = 1, n do t[i] = n - i end return t end,
  few = function(n) local t = {} for i = 1, n do t[i] = random() % 10 end return t end,
  floats = function(n) local t = {} for i = 1, n do t[i] = random() / 7 end return t end,
}

local function check(a)
  local sum = 0
  for i = 1, #a do
    if i > 1 and a[i - 1] > a[i] then error("not sorted at " .. i) end
    sum = (sum * 3 + math.floor(a[i]) % 1000) % 1000003
  end
  return sum
end

for _, name in ipairs({ "random", "sorted", "reversed", "few", "floats" }) do
  local total = 0
  for _ = 1, 15 do
    local a, b = makers[name](16000), makers[name](8000)
    quicksort(a, 1, #a)
    shellsort(b)
    total = (total + check(a) + check(b)) % 1000003
  end
  print(name, string.format("%d", total))
end
