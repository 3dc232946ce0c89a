-- Perfect, abundant and amicable numbers by trial division.
-- lua: 5.1+

local LIMIT = 95000

local function proper_divisor_sum(n)
  local sum = 1
  local d = 2
  while d * d <= n do
    if n % d == 0 then
      sum = sum + d
      local other = n / d
      if other ~= d then sum = sum + other end
    end
    d = d + 1
  end
  return sum
end

local perfect, abundant, amicable = {}, 0, 0
for n = 2, LIMIT do
  local s = proper_divisor_sum(n)
  if s == n then
    perfect[#perfect + 1] = string.format("%d", n)
  elseif s > n then
    abundant = abundant + 1
    if proper_divisor_sum(s) == n then
      amicable = amicable + 1
    end
  end
end

print("perfect", table.concat(perfect, " "))
print("abundant", abundant, "amicable pairs", amicable)
