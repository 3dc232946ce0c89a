-- The longest Collatz chain below a limit, and how the lengths spread.
-- lua: 5.3+

local LIMIT = 260000

local function chain_length(n)
  local steps = 1
  while n ~= 1 do
    if n % 2 == 0 then
      n = n // 2
    else
      n = 3 * n + 1
    end
    steps = steps + 1
  end
  return steps
end

local best, best_at, total = 0, 0, 0
for n = 1, LIMIT do
  local steps = chain_length(n)
  total = total + steps
  if steps > best then
    best, best_at = steps, n
  end
end

print("longest chain", best_at, best)
print("sum of lengths", total)
