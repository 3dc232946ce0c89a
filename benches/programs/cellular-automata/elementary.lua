-- Elementary automata: all 256 rules from one cell, and a few run long.
-- lua: 5.1+

local floor = math.floor

local function rule_table(number)
  local rule = {}
  for pattern = 0, 7 do
    rule[pattern] = number % 2
    number = floor(number / 2)
  end
  return rule
end

local function evolve(rule, width, steps)
  local cells = {}
  for i = 1, width do cells[i] = 0 end
  cells[floor(width / 2)] = 1
  local ones, hash = 0, 0
  for step = 1, steps do
    local out = {}
    local left, here = cells[width], cells[1]
    for i = 1, width do
      local right = cells[i + 1] or cells[1]
      local value = rule[left * 4 + here * 2 + right]
      out[i] = value
      ones = ones + value
      left, here = here, right
    end
    cells = out
    hash = (hash * 3 + cells[step % width + 1] + cells[1]) % 1000003
  end
  return ones, hash, cells
end

local total, all = 0, 0
for number = 0, 255 do
  local ones, hash = evolve(rule_table(number), 101, 300)
  total = total + ones
  all = (all * 31 + hash) % 1000003
end
print(total, string.format("%d", all))

for _, number in ipairs({ 30, 90, 110 }) do
  local ones, hash, cells = evolve(rule_table(number), 301, 4000)
  local line = {}
  for i = 1, 60 do line[i] = cells[i * 5] == 1 and "#" or "." end
  print(number, ones, string.format("%d", hash), table.concat(line))
end
