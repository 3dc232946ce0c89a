-- Permutations and subsets produced one by one by recursive generators.
-- lua: 5.1+
-- held-out: true

local function permute(list, n)
  n = n or #list
  if n <= 1 then
    coroutine.yield(list)
  else
    for i = 1, n do
      list[n], list[i] = list[i], list[n]
      permute(list, n - 1)
      list[n], list[i] = list[i], list[n]
    end
  end
end

function permutations(list)
  local co = coroutine.create(permute)
  return function()
    local ok, value = coroutine.resume(co, list)
    if not ok then error(value) end
    if coroutine.status(co) == "dead" then return nil end
    return value
  end
end

function subsets(list)
  local function go(index, chosen)
    if index > #list then
      coroutine.yield(chosen)
      return
    end
    go(index + 1, chosen)
    chosen[#chosen + 1] = list[index]
    go(index + 1, chosen)
    chosen[#chosen] = nil
  end
  return coroutine.wrap(function() go(1, {}) end)
end

local count, weight = 0, 0
for p in permutations({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }) do
  count = count + 1
  if p[1] < p[10] then weight = (weight + p[2] * p[5] + count) % 1000003 end
end
print("permutations", count, weight)

local hits, total = 0, 0
for chosen in subsets({ 3, 34, 4, 12, 5, 2, 7, 19, 21, 8, 15, 11, 27, 30, 6 }) do
  local sum = 0
  for _, v in ipairs(chosen) do sum = sum + v end
  if sum == 100 then hits = hits + 1 end
  total = total + #chosen
end
print("subsets", hits, total)
