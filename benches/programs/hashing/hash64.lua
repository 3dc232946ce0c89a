-- FNV, xorshift and a multiplicative mixer on 64-bit integers that wrap around.
-- lua: 5.3+

local FNV_PRIME, FNV_BASIS = 0x100000001b3, 0xcbf29ce484222325

local function fnv1a(text)
  local h = FNV_BASIS
  for i = 1, #text do
    h = (h ~ text:byte(i)) * FNV_PRIME
  end
  return h
end

local function mix(x)
  x = (x ~ (x >> 30)) * 0xbf58476d1ce4e5b9
  x = (x ~ (x >> 27)) * 0x94d049bb133111eb
  return x ~ (x >> 31)
end

local Random = {}
Random.__index = Random

function Random.new(seed)
  return setmetatable({ a = mix(seed), b = mix(seed + 0x9e3779b97f4a7c15) }, Random)
end

function Random:next()
  local s, t = self.a, self.b
  self.a = t
  s = s ~ (s << 23)
  s = s ~ t ~ (s >> 17) ~ (t >> 26)
  self.b = s
  return s + t
end

function Random:below(n)
  return (self:next() >> 1) % n
end

local words = {}
for i = 1, 2000 do words[i] = "key-" .. i * 7919 % 10007 .. "/" .. ("abc"):rep(i % 6) end

local folded, buckets = 0, {}
for b = 0, 255 do buckets[b] = 0 end
for round = 1, 90 do
  for _, word in ipairs(words) do
    local h = fnv1a(word)
    folded = folded ~ mix(h + round)
    buckets[h & 255] = buckets[h & 255] + 1
  end
end
local fullest = 0
for b = 0, 255 do fullest = math.max(fullest, buckets[b]) end
print(string.format("%016x", folded), fullest)

local random = Random.new(42)
local heads, dice = 0, { 0, 0, 0, 0, 0, 0 }
for _ = 1, 3600000 do
  if random:next() < 0 then heads = heads + 1 end
end
for _ = 1, 1500000 do
  local d = random:below(6) + 1
  dice[d] = dice[d] + 1
end
print(heads, table.concat(dice, " "), string.format("%016x", random:next()))
