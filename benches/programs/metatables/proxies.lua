-- Default values, read-only views, tracked writes and computed properties by __index and __newindex.
-- lua: 5.1+

local function defaults(base, values)
  return setmetatable(base, { __index = values })
end

local function read_only(t)
  return setmetatable({}, {
    __index = t,
    __newindex = function() error("read-only", 2) end,
  })
end

local function tracked(t, log)
  return setmetatable({}, {
    __index = function(_, k)
      log.reads = log.reads + 1
      return t[k]
    end,
    __newindex = function(_, k, v)
      log.writes = log.writes + 1
      t[k] = v
    end,
  })
end

local Rectangle = {}
local getters = {
  area = function(self) return self.w * self.h end,
  wide = function(self) return self.w > self.h end,
}
Rectangle.__index = function(self, k)
  local getter = getters[k]
  if getter then return getter(self) end
  return Rectangle[k]
end
Rectangle.__call = function(self, dw, dh)
  self.w, self.h = self.w + dw, self.h + dh
  return self
end
Rectangle.__len = function(self) return self.w end
Rectangle.__le = function(a, b) return a.area <= b.area end
Rectangle.__lt = function(a, b) return a.area < b.area end
function Rectangle.new(w, h) return setmetatable({ w = w, h = h }, Rectangle) end
function Rectangle:scaled(k) return Rectangle.new(self.w * k, self.h * k) end

local squares = setmetatable({}, {
  __index = function(t, n)
    local v = n * n
    rawset(t, n, v)
    return v
  end,
})

local settings = read_only({ step = 3, name = "fixed" })
local log = { reads = 0, writes = 0 }
local store = tracked({}, log)

local total, refused, wider = 0, 0, 0
for i = 1, 520000 do
  local options = defaults({ size = i % 9 }, { size = 1, color = 7, depth = 2 })
  total = (total + options.size * options.color + options.depth) % 1000003
  store[i % 50] = (store[i % 50] or 0) + settings.step
  local r = Rectangle.new(i % 13 + 1, i % 7 + 1)
  if r.wide then wider = wider + 1 end
  if r <= r:scaled(2)(1, -1) then total = total + r.area end
  total = total + squares[i % 1000] % 10
  if i % 50 == 0 and not pcall(function() settings.step = i end) then refused = refused + 1 end
end
print(string.format("%d", total), refused, wider, log.reads, log.writes)
