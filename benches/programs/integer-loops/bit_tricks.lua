-- Population counts, Gray codes and bit reversal with the operators of 5.3.
-- lua: 5.3+

local function popcount(x)
  local n = 0
  while x ~= 0 do
    x = x & (x - 1)
    n = n + 1
  end
  return n
end

local function reverse16(x)
  x = ((x & 0x5555) << 1) | ((x >> 1) & 0x5555)
  x = ((x & 0x3333) << 2) | ((x >> 2) & 0x3333)
  x = ((x & 0x0f0f) << 4) | ((x >> 4) & 0x0f0f)
  return ((x & 0x00ff) << 8) | (x >> 8)
end

local function from_gray(g)
  local n = 0
  while g ~= 0 do
    n = n ~ g
    g = g >> 1
  end
  return n
end

local bits, palindromes, wrong = 0, 0, 0
for round = 1, 26 do
  for i = 0, 65535 do
    local gray = i ~ (i >> 1)
    bits = bits + popcount(gray)
    if reverse16(i) == i then palindromes = palindromes + 1 end
    if from_gray(gray) ~= i then wrong = wrong + 1 end
  end
end

print(bits, palindromes, wrong)
