-- State machines as tables of transitions: vending machines, a protocol, and their random walks checked.
-- lua: 5.1+

local seed = 31337
local function random(n)
  seed = (seed * 16807) % 2147483647
  return seed % n + 1
end

local Machine = {}
Machine.__index = Machine

function Machine.new(definition)
  return setmetatable({
    definition = definition,
    state = definition.start,
    context = definition.context(),
    steps = 0,
    refused = 0,
  }, Machine)
end

function Machine:send(event, payload)
  self.steps = self.steps + 1
  local rule = self.definition.states[self.state][event]
  if type(rule) == "function" then
    rule = rule(self.context, payload)
  end
  if not rule then
    self.refused = self.refused + 1
    return false
  end
  if rule ~= self.state then
    local leave = self.definition.leave[self.state]
    if leave then
      leave(self.context)
    end
    self.state = rule
  end
  return true
end

local vending = {
  start = "idle",
  context = function()
    return { credit = 0, sold = 0, income = 0, returned = 0, stock = { 40, 40, 40 } }
  end,
  leave = {
    giving = function(context)
      context.sold = context.sold + 1
    end,
  },
  states = {
    idle = {
      coin = function(context, value)
        context.credit = context.credit + value
        return "paying"
      end,
      service = "service",
    },
    paying = {
      coin = function(context, value)
        if context.credit > 300 then
          return false
        end
        context.credit = context.credit + value
        return "paying"
      end,
      choose = function(context, slot)
        local price = slot * 35 + 60
        if context.credit < price or context.stock[slot] == 0 then
          return false
        end
        context.credit = context.credit - price
        context.income = context.income + price
        context.stock[slot] = context.stock[slot] - 1
        return "giving"
      end,
      cancel = function(context)
        context.returned = context.returned + context.credit
        context.credit = 0
        return "idle"
      end,
    },
    giving = {
      taken = function(context)
        return context.credit > 0 and "paying" or "idle"
      end,
    },
    service = {
      refill = function(context, slot)
        context.stock[slot] = 40
        return "service"
      end,
      close = "idle",
    },
  },
}

local connection = {
  start = "closed",
  context = function()
    return { sent = 0, acknowledged = 0, window = 1, opened = 0 }
  end,
  leave = {},
  states = {
    closed = {
      open = function(context)
        context.sent, context.acknowledged, context.window = 0, 0, 1
        context.opened = context.opened + 1
        return "waiting"
      end,
    },
    waiting = { accept = "open", reset = "closed", timeout = "closed" },
    open = {
      send = function(context, amount)
        if context.sent - context.acknowledged >= context.window then
          return "blocked"
        end
        context.sent = context.sent + amount % context.window + 1
        return "open"
      end,
      acknowledge = function(context, amount)
        context.acknowledged = math.min(context.sent, context.acknowledged + amount)
        context.window = math.min(64, context.window + 1)
        return "open"
      end,
      close = "closing",
      reset = "closed",
    },
    blocked = {
      acknowledge = function(context, amount)
        context.acknowledged = math.min(context.sent, context.acknowledged + amount)
        return context.sent - context.acknowledged < context.window and "open" or "blocked"
      end,
      timeout = function(context)
        context.window = math.max(1, math.floor(context.window / 2))
        context.sent = context.acknowledged
        return "open"
      end,
    },
    closing = { accept = "closed", timeout = "closed" },
  },
}

local function walk(definition, events, steps)
  local machine, visits = Machine.new(definition), {}
  for _ = 1, steps do
    local event = events[random(#events)]
    if machine:send(event, random(3)) then
      visits[machine.state] = (visits[machine.state] or 0) + 1
    end
  end
  local names = {}
  for name in pairs(visits) do
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do
    names[i] = name .. "=" .. visits[name]
  end
  return machine, table.concat(names, " ")
end

for round = 1, 8 do
  local coins = { "coin", "coin", "coin", "choose", "choose", "taken", "taken", "cancel", "service", "refill", "close" }
  local machine, visits = walk(vending, coins, 160000)
  local context = machine.context
  print("vending", round, machine.refused, context.sold, context.income, context.returned, visits)
  local packets = { "open", "accept", "send", "send", "send", "acknowledge", "acknowledge", "timeout", "close", "reset" }
  machine, visits = walk(connection, packets, 160000)
  context = machine.context
  print("protocol", round, machine.refused, context.opened, context.sent, context.window, visits)
end
