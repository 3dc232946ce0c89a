-- Log lines taken apart with patterns and summed per user, status and path.
-- lua: 5.1+

local users = { "ana", "bob", "chen", "dora", "eli", "fay" }
local paths = { "/", "/login", "/img/logo.png", "/api/v1/items", "/api/v1/users/42", "/about" }
local methods = { "GET", "POST", "PUT" }
local statuses = { 200, 200, 200, 304, 404, 500 }

local seed = 77
local function pick(list)
  seed = seed * 16807 % 2147483647
  return list[seed % #list + 1]
end

local lines = {}
for i = 1, 4000 do
  lines[i] = string.format('10.0.%d.%d - %s [%02d:%02d:%02d] "%s %s HTTP/1.1" %d %d',
    i % 256, i * 7 % 256, pick(users), i % 24, i % 60, i * 3 % 60,
    pick(methods), pick(paths), pick(statuses), i * 37 % 5000)
end

local function scan(lines)
  local per_user, per_status, per_dir, bytes, bad = {}, {}, {}, 0, 0
  for _, line in ipairs(lines) do
    local ip, user, hour, request, status, size =
      line:match('^(%d+%.%d+%.%d+%.%d+) %- (%a+) %[(%d+):%d+:%d+%] "([^"]*)" (%d+) (%d+)$')
    if ip then
      local method, path = request:match("^(%u+) (%S+)")
      local dir = path:match("^/([^/]*)/") or "top"
      per_user[user] = (per_user[user] or 0) + 1
      per_status[status] = (per_status[status] or 0) + 1
      per_dir[method .. " " .. dir] = (per_dir[method .. " " .. dir] or 0) + tonumber(hour)
      bytes = bytes + tonumber(size)
      if line:find("%.png") and status == "404" then bad = bad + 1 end
    end
  end
  return per_user, per_status, per_dir, bytes, bad
end

local per_user, per_status, per_dir, bytes, bad
for _ = 1, 80 do
  per_user, per_status, per_dir, bytes, bad = scan(lines)
end

local function show(t)
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = k end
  table.sort(keys)
  for _, k in ipairs(keys) do print(k, t[k]) end
end
show(per_user)
show(per_status)
show(per_dir)
print(bytes, bad)
