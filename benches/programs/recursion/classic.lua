-- Recursive functions of the textbook: Ackermann, Hanoi, binomials, partitions.
-- lua: 5.1+

function fibonacci(n)
  if n < 2 then return n end
  return fibonacci(n - 1) + fibonacci(n - 2)
end

local function ackermann(m, n)
  if m == 0 then return n + 1 end
  if n == 0 then return ackermann(m - 1, 1) end
  return ackermann(m - 1, ackermann(m, n - 1))
end

local function hanoi(n, from, to, via, move)
  if n == 0 then return end
  hanoi(n - 1, from, via, to, move)
  move(from, to)
  hanoi(n - 1, via, to, from, move)
end

local function binomial(n, k)
  if k == 0 or k == n then return 1 end
  return binomial(n - 1, k - 1) + binomial(n - 1, k)
end

local function partitions(n, largest)
  if n == 0 then return 1 end
  local count = 0
  for part = 1, largest < n and largest or n do
    count = count + partitions(n - part, part)
  end
  return count
end

local moves, trail = 0, 0
hanoi(20, 1, 3, 2, function(from, to)
  moves = moves + 1
  trail = (trail * 3 + from * 7 + to) % 1000003
end)

print("fibonacci", fibonacci(32))
print("ackermann", ackermann(2, 300), ackermann(3, 8))
print("hanoi", moves, string.format("%d", trail))
print("binomial", binomial(23, 11))
print("partitions", partitions(54, 54))
