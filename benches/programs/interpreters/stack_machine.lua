-- A stack machine with an assembler: dispatch over opcodes in an if-chain and in a table.
-- lua: 5.1+

local function assemble(source)
  local code, labels, fixups = {}, {}, {}
  for line in source:gmatch("[^\n]+") do
    local label = line:match("^(%w+):%s*$")
    if label then
      labels[label] = #code + 1
    else
      local op, arg = line:match("^%s*(%a+)%s*(%S*)")
      if op then
        code[#code + 1] = op
        if arg ~= "" then
          local n = tonumber(arg)
          code[#code + 1] = n or 0
          if not n then fixups[#code] = arg end
        else
          code[#code + 1] = 0
        end
      end
    end
  end
  for at, label in pairs(fixups) do code[at] = labels[label] end
  return code
end

local function run(code, memory)
  local stack, sp, pc, steps = {}, 0, 1, 0
  while true do
    local op, arg = code[pc], code[pc + 1]
    pc = pc + 2
    steps = steps + 1
    if op == "push" then
      sp = sp + 1
      stack[sp] = arg
    elseif op == "load" then
      sp = sp + 1
      stack[sp] = memory[arg] or 0
    elseif op == "store" then
      memory[arg] = stack[sp]
      sp = sp - 1
    elseif op == "add" then
      sp = sp - 1
      stack[sp] = stack[sp] + stack[sp + 1]
    elseif op == "sub" then
      sp = sp - 1
      stack[sp] = stack[sp] - stack[sp + 1]
    elseif op == "mul" then
      sp = sp - 1
      stack[sp] = stack[sp] * stack[sp + 1]
    elseif op == "mod" then
      sp = sp - 1
      stack[sp] = stack[sp] % stack[sp + 1]
    elseif op == "less" then
      sp = sp - 1
      stack[sp] = stack[sp] < stack[sp + 1] and 1 or 0
    elseif op == "jump" then
      pc = arg
    elseif op == "zero" then
      if stack[sp] == 0 then pc = arg end
      sp = sp - 1
    elseif op == "halt" then
      return stack[sp], steps
    else
      error("unknown op " .. tostring(op))
    end
  end
end

local handlers = {
  push = function(m, arg) m:push(arg) end,
  load = function(m, arg) m:push(m.memory[arg] or 0) end,
  store = function(m, arg) m.memory[arg] = m:pop() end,
  add = function(m) local b, a = m:pop(), m:pop() m:push(a + b) end,
  sub = function(m) local b, a = m:pop(), m:pop() m:push(a - b) end,
  mul = function(m) local b, a = m:pop(), m:pop() m:push(a * b) end,
  mod = function(m) local b, a = m:pop(), m:pop() m:push(a % b) end,
  less = function(m) local b, a = m:pop(), m:pop() m:push(a < b and 1 or 0) end,
  jump = function(m, arg) m.pc = arg end,
  zero = function(m, arg) if m:pop() == 0 then m.pc = arg end end,
  halt = function(m) m.halted = true end,
}

local Machine = {}
Machine.__index = Machine
function Machine:push(v) self.stack[#self.stack + 1] = v end
function Machine:pop() return table.remove(self.stack) end
function Machine.run(code)
  local m = setmetatable({ stack = {}, memory = {}, pc = 1, halted = false }, Machine)
  while not m.halted do
    local op, arg = code[m.pc], code[m.pc + 1]
    m.pc = m.pc + 2
    handlers[op](m, arg)
  end
  return m:pop()
end

local source = [[
  push 0
  store 1
  push 1
  store 2
outer:
  load 2
  push LIMIT
  less
  zero done
  load 1
  load 2
  load 2
  mul
  add
  push 9973
  mod
  store 1
  load 2
  push 1
  add
  store 2
  jump outer
done:
  load 1
  halt
]]

print(run(assemble((source:gsub("LIMIT", "500000"))), {}))
print(Machine.run(assemble((source:gsub("LIMIT", "90000")))))
