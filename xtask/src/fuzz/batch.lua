-- Runs many programs in one process of a reference interpreter, whose start would take longer than most of them.
--
-- usage: ENGINE batch.lua FILE
--
-- FILE holds, for each program, a line with its length and then its text. What a program prints is followed by a line
-- "\1program ok" or "\1program error". One that is no program at all ends the process. Each has globals and library
-- tables of its own.

local file = assert(io.open((...), "rb"))

local function copy(t)
  local new = {}
  for k, v in pairs(t) do new[k] = v end
  return new
end

local function environment()
  local globals = copy(_G)
  for name, value in pairs(_G) do
    if type(value) == "table" and value ~= _G then globals[name] = copy(value) end
  end
  globals._G = globals
  -- Methods of strings are those of the program's own library, too.
  debug.getmetatable("").__index = globals.string
  return globals
end

local function compile(text)
  if setfenv then
    return setfenv(assert(loadstring(text, "@program.lua")), environment())
  end
  return assert(load(text, "@program.lua", "t", environment()))
end

while true do
  local length = file:read("*l")
  if not length then break end
  local chunk = compile(file:read(tonumber(length)))
  local ok = pcall(chunk)
  collectgarbage()
  print("\1program " .. (ok and "ok" or "error"))
  io.stdout:flush()
end
