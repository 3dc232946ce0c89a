-- Lazy streams: a head and a function that makes the tail.
-- lua: 5.1+

local function cons(head, tail) return { head = head, tail = tail } end

local function from(n)
  return cons(n, function() return from_next(n) end)
end

function from_next(n) return from(n + 1) end

local function map(f, s)
  return cons(f(s.head), function() return map(f, s.tail()) end)
end

-- `local function` sees itself, so recursion through the tail works.
local function filter(p, s)
  while not p(s.head) do s = s.tail() end
  return cons(s.head, function() return filter(p, s.tail()) end)
end

local function zip(f, a, b)
  return cons(f(a.head, b.head), function() return zip(f, a.tail(), b.tail()) end)
end

local function take(n, s)
  local sum, last = 0, nil
  for _ = 1, n do
    last = s.head
    sum = sum + last
    s = s.tail()
  end
  return sum, last
end

local function interleave(a, b)
  return cons(a.head, function() return interleave(b, a.tail()) end)
end

local function primes()
  local function sift(s)
    local p = s.head
    return cons(p, function()
      return sift(filter(function(n) return n % p ~= 0 end, s.tail()))
    end)
  end
  return sift(from(2))
end

print("naturals", take(500000, from(1)))
print("squares", take(300000, map(function(n) return n * n % 1009 end, from(1))))
print("sums", take(250000, zip(function(a, b) return a + b end, from(1), from(10))))
print("mixed", take(250000, interleave(from(1), map(function(n) return -n end, from(1)))))
print("primes", take(300, primes()))
