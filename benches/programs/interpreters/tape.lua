-- A tape language of eight characters, compiled to closures-free code tables and run.
-- lua: 5.1+

local function compile(text)
  local ops, args, open = {}, {}, {}
  local i = 1
  while i <= #text do
    local c = text:sub(i, i)
    if c == "+" or c == "-" or c == ">" or c == "<" then
      local j = i
      while text:sub(j + 1, j + 1) == c do j = j + 1 end
      local n = j - i + 1
      if c == "-" or c == "<" then n = -n end
      ops[#ops + 1] = (c == "+" or c == "-") and "add" or "move"
      args[#ops] = n
      i = j
    elseif c == "[" then
      ops[#ops + 1] = "open"
      args[#ops] = 0
      open[#open + 1] = #ops
    elseif c == "]" then
      local at = table.remove(open)
      ops[#ops + 1] = "close"
      args[#ops] = at
      args[at] = #ops
    elseif c == "." then
      ops[#ops + 1] = "print"
      args[#ops] = 0
    end
    i = i + 1
  end
  return ops, args
end

local function run(ops, args)
  local tape, at, pc, out = { [0] = 0 }, 0, 1, {}
  local count = #ops
  local steps = 0
  while pc <= count do
    local op = ops[pc]
    if op == "add" then
      tape[at] = (tape[at] + args[pc]) % 256
    elseif op == "move" then
      at = at + args[pc]
      if tape[at] == nil then tape[at] = 0 end
    elseif op == "open" then
      if tape[at] == 0 then pc = args[pc] end
    elseif op == "close" then
      if tape[at] ~= 0 then pc = args[pc] end
    else
      out[#out + 1] = string.char(tape[at])
    end
    pc = pc + 1
    steps = steps + 1
  end
  return table.concat(out), steps
end

-- Squares by repeated addition, and a long multiplication loop.
local programs = {
  "++++++++[>++++[>++>+++>+++>+<<<<-]>+>+>->>+[<]<-]>>.>---.+++++++..+++.>>.<-.<.+++.------.--------.",
  "+++++++++++++++[>+++++++++++++++[>+++++++++++++++[>+++++++++++++++[>++<-]<-]<-]<-]>>>>.",
  ">++++++++++[<++++++++>-]<[>+>+<<-]>[>[>+>+<<-]>>[<<+>>-]<<<-]>>.",
  "++++[>++++++++++[>++++++++++[>++++++++++[>++++++++++[>++++++++++[>++[>+>+<<-]>>[<<+>>-]<<[-]>[-]<<-]<-]<-]<-]<-]<-]>>>>>.",
}
for n, text in ipairs(programs) do
  local ops, args = compile(text)
  local out, steps = run(ops, args)
  local sum = 0
  for i = 1, #out do sum = sum + out:byte(i) * i end
  print(n, #ops, steps, sum)
end
