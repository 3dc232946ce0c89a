-- Word frequencies of a made-up text, with the usual gmatch, lower and sort.
-- lua: 5.1+

local syllables = { "ka", "lo", "mi", "ren", "su", "ta", "vor", "we", "xi", "zun" }
local marks = { " ", " ", " ", ", ", ". ", "; ", " - ", "\n" }
local seed = 1234
local function random(n)
  seed = seed * 16807 % 2147483647
  return seed % n + 1
end

local function word()
  local parts = {}
  for i = 1, random(3) do parts[i] = syllables[random(#syllables)] end
  local w = table.concat(parts)
  if random(8) == 1 then w = w:sub(1, 1):upper() .. w:sub(2) end
  return w
end

local pieces = {}
for i = 1, 30000 do
  pieces[#pieces + 1] = word()
  pieces[#pieces + 1] = marks[random(#marks)]
end
local text = table.concat(pieces)

function count_words(text)
  local counts, total = {}, 0
  for found in text:gmatch("%a+") do
    local w = found:lower()
    counts[w] = (counts[w] or 0) + 1
    total = total + 1
  end
  return counts, total
end

function ranking(counts)
  local list = {}
  for w, n in pairs(counts) do list[#list + 1] = { word = w, count = n } end
  table.sort(list, function(a, b)
    if a.count ~= b.count then return a.count > b.count end
    return a.word < b.word
  end)
  return list
end

local list, total
local longest, capitals = 0, 0
for round = 1, 55 do
  local counts
  counts, total = count_words(text)
  list = ranking(counts)
  for sentence in text:gmatch("[^%.\n]+") do
    if #sentence > longest then longest = #sentence end
    if sentence:find("^%s*%u") then capitals = capitals + 1 end
  end
end
print(total, #list, longest, capitals)
for i = 1, 10 do print(list[i].word, list[i].count) end
