-- Which weekday months begin on, over many years, and the dates of Easter.
-- lua: 5.1+
-- held-out: true

local floor = math.floor

local lengths = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

function is_leap(year)
  return year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
end

function days_in(year, month)
  if month == 2 and is_leap(year) then return 29 end
  return lengths[month]
end

-- 0 is Sunday.
local function weekday(year, month, day)
  if month < 3 then
    month = month + 12
    year = year - 1
  end
  local k = year % 100
  local j = floor(year / 100)
  local h = (day + floor(13 * (month + 1) / 5) + k + floor(k / 4) + floor(j / 4) + 5 * j) % 7
  return (h + 6) % 7
end

local function easter(year)
  local a = year % 19
  local b, c = floor(year / 100), year % 100
  local d, e = floor(b / 4), b % 4
  local g = floor((8 * b + 13) / 25)
  local h = (19 * a + b - d - g + 15) % 30
  local i, k = floor(c / 4), c % 4
  local l = (32 + 2 * e + 2 * i - h - k) % 7
  local m = floor((a + 11 * h + 19 * l) / 433)
  local month = floor((h + l - 7 * m + 90) / 25)
  local day = (h + l - 7 * m + 33 * month + 19) % 32
  return month, day
end

local starts = {}
for i = 0, 6 do starts[i] = 0 end
local friday13 = 0
local running, mismatches = weekday(1600, 1, 1), 0
for year = 1600, 41599 do
  for month = 1, 12 do
    local first = weekday(year, month, 1)
    if first ~= running then mismatches = mismatches + 1 end
    starts[first] = starts[first] + 1
    if (first + 12) % 7 == 5 then friday13 = friday13 + 1 end
    for _ = 1, days_in(year, month) do
      running = running + 1
      if running == 7 then running = 0 end
    end
  end
end

local march, checksum = 0, 0
for year = 1600, 1001599 do
  local month, day = easter(year)
  if month == 3 then march = march + 1 end
  checksum = (checksum * 31 + month * 100 + day) % 1000003
end

for i = 0, 6 do print(i, starts[i]) end
print("friday 13th", friday13, "mismatches", mismatches)
print("easter in march", march, string.format("%d", checksum))
