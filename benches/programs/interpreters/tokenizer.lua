-- A character-by-character state machine reading a C-like language.
-- lua: 5.1+

local keywords = {}
for w in ("if else while for return int float void struct break"):gmatch("%a+") do keywords[w] = true end

local function class_of(b)
  if b == nil then return "eof" end
  if b == 32 or b == 9 or b == 10 then return "space" end
  if b >= 48 and b <= 57 then return "digit" end
  if (b >= 97 and b <= 122) or (b >= 65 and b <= 90) or b == 95 then return "letter" end
  if b == 34 then return "quote" end
  if b == 47 then return "slash" end
  if b == 46 then return "dot" end
  return "other"
end

local function scan(source)
  local counts = { word = 0, keyword = 0, number = 0, string = 0, comment = 0, symbol = 0 }
  local state, start, line, depth, deepest = "start", 1, 1, 0, 0
  local i, n = 1, #source
  local names = {}
  while i <= n + 1 do
    local b = source:byte(i)
    local class = class_of(b)
    if state == "start" then
      start = i
      if class == "letter" then
        state = "word"
      elseif class == "digit" then
        state = "number"
      elseif class == "quote" then
        state = "string"
      elseif class == "slash" and source:byte(i + 1) == 47 then
        state = "comment"
      elseif class ~= "space" and class ~= "eof" then
        counts.symbol = counts.symbol + 1
        if b == 123 then
          depth = depth + 1
          if depth > deepest then deepest = depth end
        elseif b == 125 then
          depth = depth - 1
        end
      end
      i = i + 1
    elseif state == "word" then
      if class == "letter" or class == "digit" then
        i = i + 1
      else
        local word = source:sub(start, i - 1)
        if keywords[word] then
          counts.keyword = counts.keyword + 1
        else
          counts.word = counts.word + 1
          names[word] = (names[word] or 0) + 1
        end
        state = "start"
      end
    elseif state == "number" then
      if class == "digit" or class == "dot" then
        i = i + 1
      else
        counts.number = counts.number + tonumber(source:sub(start, i - 1)) % 100
        state = "start"
      end
    elseif state == "string" then
      if class == "quote" then
        counts.string = counts.string + (i - start)
        state = "start"
      end
      i = i + 1
    else
      if b == 10 or b == nil then
        counts.comment = counts.comment + (i - start)
        state = "start"
      else
        i = i + 1
      end
    end
    if b == 10 and state == "start" then line = line + 1 end
  end
  return counts, names, line, deepest
end

local parts = {}
for k = 1, 260 do
  parts[#parts + 1] = string.format([[
// function number %d
int work_%d(int a, float scale) {
  int total = %d;
  for (int i = 0; i < a * %d; i = i + 1) {
    if (i %% 3 == 0) { total = total + i * scale; } else { print("step %d"); }
  }
  while (total > 100.5) { total = total - helper_%d(total); }
  return total;
}
]], k, k, k * 7, k % 9 + 1, k, k % 40)
end
local source = table.concat(parts)

local counts, names, lines, deepest
for _ = 1, 64 do counts, names, lines, deepest = scan(source) end
local distinct = 0
for _ in pairs(names) do distinct = distinct + 1 end
print(#source, lines, deepest, distinct)
for _, kind in ipairs({ "word", "keyword", "number", "string", "comment", "symbol" }) do
  print(kind, string.format("%.1f", counts[kind]))
end
