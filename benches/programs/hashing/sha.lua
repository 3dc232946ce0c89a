-- SHA-256 of many messages, with rotations on 32 bits of 64-bit integers.
-- lua: 5.3+

-- The round constants are the fractions of cube roots of the first primes.
local k, h0 = {}, {}
do
  local function fraction(x) return math.floor((x - math.floor(x)) * 4294967296) end
  local n, count = 2, 0
  while count < 64 do
    local prime = true
    for d = 2, math.floor(math.sqrt(n)) do
      if n % d == 0 then
        prime = false
        break
      end
    end
    if prime then
      count = count + 1
      k[count] = fraction(n ^ (1 / 3))
      if count <= 8 then h0[count] = fraction(n ^ 0.5) end
    end
    n = n + 1
  end
end

local function rotate(x, n) return (x >> n | x << (32 - n)) & 0xffffffff end

local function pad(message)
  local length = #message
  local zeros = (55 - length) % 64
  return message .. "\128" .. ("\0"):rep(zeros) .. string.pack(">I8", length * 8)
end

local function sha256(message)
  local data = pad(message)
  local h = { table.unpack(h0) }
  local w = {}
  for block = 1, #data, 64 do
    for i = 1, 16 do w[i] = string.unpack(">I4", data, block + (i - 1) * 4) end
    for i = 17, 64 do
      local x, y = w[i - 15], w[i - 2]
      local s0 = rotate(x, 7) ~ rotate(x, 18) ~ (x >> 3)
      local s1 = rotate(y, 17) ~ rotate(y, 19) ~ (y >> 10)
      w[i] = (w[i - 16] + s0 + w[i - 7] + s1) & 0xffffffff
    end
    local a, b, c, d, e, f, g, hh = table.unpack(h)
    for i = 1, 64 do
      local s1 = rotate(e, 6) ~ rotate(e, 11) ~ rotate(e, 25)
      local choice = (e & f) ~ (~e & g)
      local t1 = hh + s1 + choice + k[i] + w[i]
      local s0 = rotate(a, 2) ~ rotate(a, 13) ~ rotate(a, 22)
      local majority = (a & b) ~ (a & c) ~ (b & c)
      hh, g, f, e = g, f, e, (d + t1) & 0xffffffff
      d, c, b, a = c, b, a, (t1 + s0 + majority) & 0xffffffff
    end
    local values = { a, b, c, d, e, f, g, hh }
    for i = 1, 8 do h[i] = (h[i] + values[i]) & 0xffffffff end
  end
  local out = {}
  for i = 1, 8 do out[i] = string.format("%08x", h[i]) end
  return table.concat(out)
end

print(sha256("abc"))
local digest = ""
for i = 1, 11500 do digest = sha256(digest .. "message " .. i) end
print(digest)
print(sha256(("lua"):rep(50000)))
