-- CSV with quoted fields read and written back, columns summed by header.
-- lua: 5.1+
-- held-out: true

local CSV = {}

function CSV.parse_line(line)
  local fields, at = {}, 1
  while true do
    if line:sub(at, at) == '"' then
      local text = {}
      local from = at + 1
      while true do
        local quote = line:find('"', from, true)
        text[#text + 1] = line:sub(from, quote - 1)
        if line:sub(quote + 1, quote + 1) == '"' then
          text[#text + 1] = '"'
          from = quote + 2
        else
          at = quote + 1
          break
        end
      end
      fields[#fields + 1] = table.concat(text)
    else
      local comma = line:find(",", at, true) or #line + 1
      fields[#fields + 1] = line:sub(at, comma - 1)
      at = comma
    end
    if at > #line then return fields end
    at = at + 1
  end
end

function CSV.format_line(fields)
  local out = {}
  for i, field in ipairs(fields) do
    field = tostring(field)
    if field:find('[",]') then
      field = '"' .. field:gsub('"', '""') .. '"'
    end
    out[i] = field
  end
  return table.concat(out, ",")
end

local rows = { { "name", "city", "amount", "note" } }
local cities = { "Oslo", "Rome", "Paris, France", "New York", "Graz" }
for i = 1, 3000 do
  rows[#rows + 1] = {
    "person " .. i, cities[i % #cities + 1], string.format("%d", i * 7919 % 1000),
    i % 4 == 0 and 'said "hi" twice' or (i % 3 == 0 and "x, y" or "plain"),
  }
end

local function write(rows)
  local lines = {}
  for i, row in ipairs(rows) do lines[i] = CSV.format_line(row) end
  return table.concat(lines, "\n") .. "\n"
end

local function read(text)
  local header, records = nil, {}
  for line in text:gmatch("([^\n]*)\n") do
    local fields = CSV.parse_line(line)
    if not header then
      header = fields
    else
      local record = {}
      for i, key in ipairs(header) do record[key] = fields[i] end
      records[#records + 1] = record
    end
  end
  return records, header
end

local sums, length
for round = 1, 50 do
  local text = write(rows)
  local records, header = read(text)
  sums = {}
  for _, record in ipairs(records) do
    sums[record.city] = (sums[record.city] or 0) + tonumber(record.amount)
    if record.note:find('"') then sums.quoted = (sums.quoted or 0) + 1 end
  end
  rows = { header }
  for _, record in ipairs(records) do
    rows[#rows + 1] = { record.name, record.city, record.amount, record.note }
  end
  length = #text
end
for _, city in ipairs(cities) do print(city, sums[city]) end
print(sums.quoted, length)
