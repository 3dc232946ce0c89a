-- Primes by the sieve, then gaps and twins counted from the list.
-- lua: 5.1+

function sieve(limit)
  local composite = {}
  for i = 1, limit do composite[i] = false end
  local i = 2
  while i * i <= limit do
    if not composite[i] then
      for j = i * i, limit, i do composite[j] = true end
    end
    i = i + 1
  end
  local primes = {}
  for n = 2, limit do
    if not composite[n] then primes[#primes + 1] = n end
  end
  return primes
end

local twins, widest, count, last = 0, 0, 0, 0
for round = 1, 25 do
  local primes = sieve(500000 + round * 1000)
  for k = 2, #primes do
    local gap = primes[k] - primes[k - 1]
    if gap == 2 then twins = twins + 1 end
    if gap > widest then widest = gap end
  end
  count = count + #primes
  last = primes[#primes]
end
print(count, twins, widest, last)
