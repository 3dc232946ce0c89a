-- A bank: accounts of several kinds, transfers, interest, a ledger.
-- lua: 5.1+

local Account = {}
Account.__index = Account

function Account.new(owner, balance)
  return setmetatable({ owner = owner, balance = balance or 0, moves = 0 }, Account)
end

function Account:deposit(amount)
  self.balance = self.balance + amount
  self.moves = self.moves + 1
end

function Account:withdraw(amount)
  if not self:can_withdraw(amount) then return false, "insufficient funds" end
  self.balance = self.balance - amount
  self.moves = self.moves + 1
  return true
end

function Account:can_withdraw(amount)
  return self.balance >= amount
end

local Credit = setmetatable({}, { __index = Account })
Credit.__index = Credit

function Credit.new(owner, balance, limit)
  local self = Account.new(owner, balance)
  self.limit = limit
  return setmetatable(self, Credit)
end

function Credit:can_withdraw(amount)
  return self.balance + self.limit >= amount
end

local Bank = {}
Bank.__index = Bank

function Bank.new()
  return setmetatable({ accounts = {}, refused = 0, done = 0 }, Bank)
end

function Bank:open(account)
  self.accounts[#self.accounts + 1] = account
  account.id = #self.accounts
  return account
end

function Bank:transfer(from, to, amount)
  local ok = from:withdraw(amount)
  if ok then
    to:deposit(amount)
    self.done = self.done + 1
  else
    self.refused = self.refused + 1
  end
  return ok
end

function Bank:total()
  local sum = 0
  for _, account in ipairs(self.accounts) do sum = sum + account.balance end
  return sum
end

local bank = Bank.new()
for i = 1, 200 do
  if i % 3 == 0 then
    bank:open(Credit.new("c" .. i, 500, 300))
  else
    bank:open(Account.new("a" .. i, 1000))
  end
end

local seed = 99
local function pick(n)
  seed = seed * 16807 % 2147483647
  return seed % n + 1
end

for _ = 1, 2200000 do
  local from, to = bank.accounts[pick(200)], bank.accounts[pick(200)]
  bank:transfer(from, to, pick(400))
end

local busiest = bank.accounts[1]
for _, account in ipairs(bank.accounts) do
  if account.moves > busiest.moves then busiest = account end
end
print("total", bank:total(), "done", bank.done, "refused", bank.refused)
print("busiest", busiest.owner, busiest.moves, busiest.balance)
