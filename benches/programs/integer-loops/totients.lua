-- Sums of greatest common divisors and coprime counts, straight from Euclid.
-- lua: 5.1+

function gcd(a, b)
  while b ~= 0 do
    a, b = b, a % b
  end
  return a
end

local function totient(n)
  local count = 0
  for k = 1, n do
    if gcd(n, k) == 1 then count = count + 1 end
  end
  return count
end

local phi_sum, gcd_sum = 0, 0
for n = 1, 2400 do
  phi_sum = phi_sum + totient(n)
end
for a = 1, 2400 do
  for b = a, 2400 do
    gcd_sum = gcd_sum + gcd(a, b)
  end
end

print(string.format("totients %d, gcds %d", phi_sum, gcd_sum))
