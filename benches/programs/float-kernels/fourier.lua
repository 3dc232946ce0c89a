-- An in-place fast Fourier transform, forward and back, and a filtered signal.
-- lua: 5.1+

local cos, sin, pi, floor = math.cos, math.sin, math.pi, math.floor

local function transform(re, im, n, direction)
  local j = 1
  for i = 1, n - 1 do
    if i < j then
      re[i], re[j] = re[j], re[i]
      im[i], im[j] = im[j], im[i]
    end
    local bit = n / 2
    while bit >= 1 and j > bit do
      j = j - bit
      bit = bit / 2
    end
    j = floor(j + bit)
  end
  local size = 2
  while size <= n do
    local half = size / 2
    local angle = direction * 2 * pi / size
    local wr, wi = cos(angle), sin(angle)
    for start = 1, n, size do
      local ur, ui = 1.0, 0.0
      for k = start, start + half - 1 do
        local m = floor(k + half)
        local tr = ur * re[m] - ui * im[m]
        local ti = ur * im[m] + ui * re[m]
        re[m], im[m] = re[k] - tr, im[k] - ti
        re[k], im[k] = re[k] + tr, im[k] + ti
        ur, ui = ur * wr - ui * wi, ur * wi + ui * wr
      end
    end
    size = size * 2
  end
  if direction > 0 then
    for i = 1, n do
      re[i], im[i] = re[i] / n, im[i] / n
    end
  end
end

local N = 8192
local seed = 42
local function noise()
  seed = (seed * 16807) % 2147483647
  return seed / 2147483647 - 0.5
end

local power = 0
for round = 1, 48 do
  local re, im = {}, {}
  for i = 1, N do
    re[i] = sin(2 * pi * i * round / 64) + noise()
    im[i] = 0.0
  end
  transform(re, im, N, -1)
  for i = floor(N / 16), N - floor(N / 16) do
    re[i], im[i] = 0.0, 0.0
  end
  for i = 1, N do
    power = power + re[i] * re[i] + im[i] * im[i]
  end
  transform(re, im, N, 1)
  print(round, string.format("%.6f %.6f", re[100], re[4000]))
end
print("power", string.format("%.4f", power))
