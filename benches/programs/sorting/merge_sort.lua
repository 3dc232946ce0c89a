-- A stable merge sort and a heap sort taking a comparator; ranks compared.
-- lua: 5.1+

local M = {}

function M.merge_sort(list, less)
  local n = #list
  local from, to = list, {}
  local width = 1
  while width < n do
    local at = 1
    while at <= n do
      local mid = math.min(at + width, n + 1)
      local stop = math.min(at + 2 * width, n + 1)
      local i, j = at, mid
      for k = at, stop - 1 do
        if i < mid and (j >= stop or not less(from[j], from[i])) then
          to[k] = from[i]
          i = i + 1
        else
          to[k] = from[j]
          j = j + 1
        end
      end
      at = stop
    end
    from, to = to, from
    width = width * 2
  end
  return from
end

function M.heap_sort(list, less)
  local function sift(root, last)
    while true do
      local child = root * 2
      if child > last then return end
      if child < last and less(list[child], list[child + 1]) then child = child + 1 end
      if not less(list[root], list[child]) then return end
      list[root], list[child] = list[child], list[root]
      root = child
    end
  end
  for i = math.floor(#list / 2), 1, -1 do sift(i, #list) end
  for last = #list, 2, -1 do
    list[1], list[last] = list[last], list[1]
    sift(1, last - 1)
  end
  return list
end

local seed = 21
local function card()
  seed = seed * 16807 % 2147483647
  return { suit = seed % 4, rank = math.floor(seed / 16) % 13, serial = seed }
end

local function by_rank(a, b) return a.rank < b.rank end
local function by_suit(a, b) return a.suit < b.suit end
local function by_serial(a, b) return a.serial < b.serial end

local checksum, in_order = 0, 0
for _ = 1, 20 do
  local deck = {}
  for i = 1, 6000 do deck[i] = card() end
  local sorted = M.merge_sort(M.merge_sort(M.merge_sort(deck, by_serial), by_rank), by_suit)
  for i = 2, #sorted do
    local a, b = sorted[i - 1], sorted[i]
    if a.suit < b.suit or a.rank < b.rank or a.serial <= b.serial then in_order = in_order + 1 end
  end
  local heap = M.heap_sort(deck, by_serial)
  for i = 1, #heap, 100 do
    checksum = (checksum * 31 + heap[i].serial % 1000 + sorted[i].serial % 100) % 1000003
  end
end
print(in_order, string.format("%d", checksum))
