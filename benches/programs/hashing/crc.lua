-- CRC-32 by table and Adler-32 over strings, checked against known values.
-- lua: 5.3+

local crc_table = {}
for i = 0, 255 do
  local c = i
  for _ = 1, 8 do
    if c & 1 == 1 then
      c = 0xedb88320 ~ (c >> 1)
    else
      c = c >> 1
    end
  end
  crc_table[i] = c
end

function crc32(text, crc)
  crc = (crc or 0) ~ 0xffffffff
  for i = 1, #text do
    crc = crc_table[(crc ~ text:byte(i)) & 0xff] ~ (crc >> 8)
  end
  return crc ~ 0xffffffff
end

function adler32(text)
  local a, b = 1, 0
  for i = 1, #text do
    a = (a + text:byte(i)) % 65521
    b = (b + a) % 65521
  end
  return (b << 16) | a
end

assert(crc32("123456789") == 0xcbf43926)
assert(adler32("Wikipedia") == 0x11e60398)

local lines = {}
for i = 1, 400 do
  lines[i] = string.format("line %d of the file, value %.3f, tail %s", i, i / 7, ("z"):rep(i % 30))
end

local crc, sum, packed = 0, 0, 0
for round = 1, 430 do
  for i, line in ipairs(lines) do
    crc = crc32(line, crc)
    if i % 3 == 0 then sum = (sum * 31 + adler32(line)) & 0xffffffff end
    packed = (packed << 5 | packed >> 59) ~ (crc & 0xff) << (i % 8)
  end
end
print(string.format("%08x %08x %016x", crc, sum, packed))
