-- Longest common subsequence and edit distance over tables of tables.
-- lua: 5.1+

local function make(seed, n)
  local out = {}
  for i = 1, n do
    seed = (seed * 16807) % 2147483647
    out[i] = seed % 4
  end
  return out
end

local function lcs(a, b)
  local table_of = {}
  for i = 0, #a do
    table_of[i] = {}
    for j = 0, #b do table_of[i][j] = 0 end
  end
  for i = 1, #a do
    for j = 1, #b do
      if a[i] == b[j] then
        table_of[i][j] = table_of[i - 1][j - 1] + 1
      else
        table_of[i][j] = math.max(table_of[i - 1][j], table_of[i][j - 1])
      end
    end
  end
  return table_of[#a][#b]
end

local function distance(a, b)
  local previous, current = {}, {}
  for j = 0, #b do previous[j] = j end
  for i = 1, #a do
    current[0] = i
    for j = 1, #b do
      local cost = a[i] == b[j] and 0 or 1
      local best = previous[j - 1] + cost
      if previous[j] + 1 < best then best = previous[j] + 1 end
      if current[j - 1] + 1 < best then best = current[j - 1] + 1 end
      current[j] = best
    end
    previous, current = current, previous
  end
  return previous[#b]
end

local common, edits = 0, 0
for round = 1, 10 do
  local a, b = make(round, 700 + round * 10), make(round + 100, 720)
  common = common + lcs(a, b)
  edits = edits + distance(a, b)
end
print("common", common, "edits", edits)
