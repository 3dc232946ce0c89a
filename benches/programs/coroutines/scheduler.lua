-- A round-robin scheduler: tasks that sleep, send messages and wait for them.
-- lua: 5.1+

Scheduler = { ready = {}, sleeping = {}, time = 0, switches = 0 }
local boxes = {}

function Scheduler.spawn(name, f, ...)
  local task = { name = name, co = coroutine.create(f), args = { ... } }
  table.insert(Scheduler.ready, task)
  return task
end

function Scheduler.run()
  while #Scheduler.ready > 0 or next(Scheduler.sleeping) do
    local current = Scheduler.ready
    Scheduler.ready = {}
    for _, task in ipairs(current) do
      Scheduler.switches = Scheduler.switches + 1
      local ok, what, value = coroutine.resume(task.co, (table.unpack or unpack)(task.args))
      if not ok then error(what) end
      task.args = {}
      if coroutine.status(task.co) == "dead" then
        task.done = true
      elseif what == "sleep" then
        local at = Scheduler.time + value
        Scheduler.sleeping[at] = Scheduler.sleeping[at] or {}
        table.insert(Scheduler.sleeping[at], task)
      elseif what == "receive" then
        local box = boxes[value]
        if #box.messages > 0 then
          task.args = { table.remove(box.messages, 1) }
          table.insert(Scheduler.ready, task)
        else
          table.insert(box.waiting, task)
        end
      else
        table.insert(Scheduler.ready, task)
      end
    end
    Scheduler.time = Scheduler.time + 1
    local woken = Scheduler.sleeping[Scheduler.time]
    if woken then
      Scheduler.sleeping[Scheduler.time] = nil
      for _, task in ipairs(woken) do table.insert(Scheduler.ready, task) end
    end
  end
end

function send(name, message)
  local box = boxes[name]
  if #box.waiting > 0 then
    local task = table.remove(box.waiting, 1)
    task.args = { message }
    table.insert(Scheduler.ready, task)
  else
    table.insert(box.messages, message)
  end
end

local function receive(name)
  local messages = boxes[name].messages
  if #messages > 0 then return table.remove(messages, 1) end
  return coroutine.yield("receive", name)
end
local function sleep(n) return coroutine.yield("sleep", n) end

for _, name in ipairs({ "work", "result" }) do boxes[name] = { messages = {}, waiting = {} } end

local ROUNDS, WORKERS, PRODUCERS = 42000, 24, 6

local function producer(id)
  for i = 1, ROUNDS do
    send("work", { id = id, n = i })
    if i % 10 == 0 then sleep(id % 3 + 4) else coroutine.yield() end
  end
end

local function worker(id)
  while true do
    local job = receive("work")
    if job.stop then return end
    local v = job.n * job.id % 101
    for _ = 1, v % 4 do coroutine.yield() end
    send("result", v)
  end
end

local total, received = 0, 0
local function collector()
  for _ = 1, ROUNDS * PRODUCERS do
    total = total + receive("result")
    received = received + 1
  end
  for _ = 1, WORKERS do send("work", { stop = true }) end
end

for id = 1, PRODUCERS do Scheduler.spawn("producer" .. id, producer, id) end
for id = 1, WORKERS do Scheduler.spawn("worker" .. id, worker, id) end
Scheduler.spawn("collector", collector)
Scheduler.run()
print(received, total, Scheduler.switches, Scheduler.time)
