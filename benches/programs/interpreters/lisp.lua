-- A small Lisp: reader, environments with closures, an evaluator with tail loops.
-- lua: 5.1+
-- held-out: true

local function read(text)
  local tokens = {}
  for t in text:gsub("[()]", " %0 "):gmatch("%S+") do tokens[#tokens + 1] = t end
  local at = 0
  local function form()
    at = at + 1
    local t = tokens[at]
    if t == "(" then
      local list = {}
      while tokens[at + 1] ~= ")" do list[#list + 1] = form() end
      at = at + 1
      return list
    end
    return tonumber(t) or t
  end
  local forms = {}
  while at < #tokens do forms[#forms + 1] = form() end
  return forms
end

local Env = {}
Env.__index = Env
function Env.new(parent) return setmetatable({ vars = {}, parent = parent }, Env) end
function Env:lookup(name)
  local env = self
  while env do
    local v = env.vars[name]
    if v ~= nil then return v end
    env = env.parent
  end
  error("unbound " .. name)
end
function Env:assign(name, value)
  local env = self
  while env do
    if env.vars[name] ~= nil then
      env.vars[name] = value
      return value
    end
    env = env.parent
  end
  error("unbound " .. name)
end

local eval
local special = {
  define = function(x, env)
    env.vars[x[2]] = eval(x[3], env)
  end,
  ["set!"] = function(x, env) return env:assign(x[2], eval(x[3], env)) end,
  lambda = function(x, env) return { params = x[2], body = x, env = env } end,
  quote = function(x) return x[2] end,
}

function eval(x, env)
  while true do
    if type(x) == "string" then return env:lookup(x) end
    if type(x) ~= "table" then return x end
    local head = x[1]
    if head == "if" then
      x = eval(x[2], env) and x[3] or x[4]
    elseif head == "begin" then
      for i = 2, #x - 1 do eval(x[i], env) end
      x = x[#x]
    elseif special[head] then
      return special[head](x, env)
    else
      local f = eval(head, env)
      if type(f) == "function" then
        if #x == 2 then return f(eval(x[2], env)) end
        return f(eval(x[2], env), eval(x[3], env))
      end
      local scope = Env.new(f.env)
      for i, name in ipairs(f.params) do scope.vars[name] = eval(x[i + 1], env) end
      for i = 3, #f.body - 1 do eval(f.body[i], scope) end
      x, env = f.body[#f.body], scope
    end
  end
end

local globals = Env.new()
globals.vars["+"] = function(a, b) return a + b end
globals.vars["-"] = function(a, b) return a - b end
globals.vars["*"] = function(a, b) return a * b end
globals.vars["mod"] = function(a, b) return a % b end
globals.vars["<"] = function(a, b) return a < b end
globals.vars["="] = function(a, b) return a == b end
globals.vars["cons"] = function(a, b) return { car = a, cdr = b } end
globals.vars["car"] = function(p) return p.car end
globals.vars["cdr"] = function(p) return p.cdr end
globals.vars["null"] = function(p) return p == 0 end

local program = [[
(define fib (lambda (n) (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2))))))
(define range (lambda (a b) (if (= a b) 0 (cons a (range (+ a 1) b)))))
(define map (lambda (f l) (if (null l) 0 (cons (f (car l)) (map f (cdr l))))))
(define fold (lambda (f acc l) (if (null l) acc (fold f (f acc (car l)) (cdr l)))))
(define counter (lambda () (begin (define n 0) (lambda (k) (set! n (+ n k))))))
(define tick (counter))
(define loop (lambda (i) (if (= i 0) (tick 0) (begin (tick (mod i 7)) (loop (- i 1))))))
(fib 24)
(fold + 0 (map (lambda (x) (* x x)) (range 0 150)))
(loop 110000)
]]

local results = {}
for _, form in ipairs(read(program)) do
  local v = eval(form, globals)
  if type(v) == "number" then results[#results + 1] = string.format("%d", v) end
end
print(table.concat(results, " "))
