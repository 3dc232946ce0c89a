-- Statistics of a sample: bins, prefix sums, percentiles by binary search.
-- lua: 5.1+

local floor = math.floor
local state = 12345

local function next_value()
  state = (state * 1664525 + 1013904223) % 4294967296
  local a = state
  state = (state * 1664525 + 1013904223) % 4294967296
  return floor((a + state) / 8589934592 * 1000)
end

local function collect(n)
  local sample = {}
  for i = 1, n do sample[i] = next_value() end
  return sample
end

local function bins_of(sample)
  local bins = {}
  for v = 0, 999 do bins[v + 1] = 0 end
  for _, v in ipairs(sample) do bins[v + 1] = bins[v + 1] + 1 end
  return bins
end

local function prefix(bins)
  local sums, running = {}, 0
  for i = 1, #bins do
    running = running + bins[i]
    sums[i] = running
  end
  return sums
end

local function lower_bound(sums, wanted)
  local lo, hi = 1, #sums
  while lo < hi do
    local mid = floor((lo + hi) / 2)
    if sums[mid] < wanted then lo = mid + 1 else hi = mid end
  end
  return lo
end

local function moving_average(sample, width)
  local out, sum = {}, 0
  for i = 1, #sample do
    sum = sum + sample[i]
    if i > width then sum = sum - sample[i - width] end
    if i >= width then out[#out + 1] = sum end
  end
  return out
end

local sample = collect(2200000)
local sums = prefix(bins_of(sample))
print("size", #sample, sums[#sums])
local checksum = 0
for q = 1, 220000 do
  local at = lower_bound(sums, q * 10)
  checksum = (checksum * 3 + at) % 1000003
end
print("quantiles", string.format("%d", checksum))
for _, p in ipairs({ 1, 25, 50, 75, 99 }) do
  print(p, lower_bound(sums, p * #sample / 100) - 1)
end
local smooth = moving_average(sample, 50)
local peak, low = smooth[1], smooth[1]
for i = 2, #smooth do
  if smooth[i] > peak then peak = smooth[i] end
  if smooth[i] < low then low = smooth[i] end
end
print("smooth", #smooth, peak, low)
