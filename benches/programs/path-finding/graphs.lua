-- Graphs of objects: breadth-first distances, Dijkstra by scanning, components, topological order.
-- lua: 5.1+

local Graph = {}
Graph.__index = Graph

function Graph.new() return setmetatable({ nodes = {}, list = {} }, Graph) end

function Graph:node(name)
  local n = self.nodes[name]
  if not n then
    n = { name = name, edges = {}, into = 0 }
    self.nodes[name] = n
    self.list[#self.list + 1] = n
  end
  return n
end

function Graph:connect(a, b, weight)
  local from, to = self:node(a), self:node(b)
  from.edges[#from.edges + 1] = { to = to, weight = weight }
  to.into = to.into + 1
end

function Graph:distances(start)
  local distance = { [start] = 0 }
  local queue, head = { start }, 1
  while queue[head] do
    local node = queue[head]
    head = head + 1
    for _, edge in ipairs(node.edges) do
      if distance[edge.to] == nil then
        distance[edge.to] = distance[node] + 1
        queue[#queue + 1] = edge.to
      end
    end
  end
  local sum = 0
  for _, node in ipairs(queue) do sum = sum + distance[node] end
  return #queue, sum
end

function Graph:cheapest(start)
  local cost, done = { [start] = 0 }, {}
  local edge_nodes = { start }
  local total = 0
  while #edge_nodes > 0 do
    local best = 1
    for i = 2, #edge_nodes do
      if cost[edge_nodes[i]] < cost[edge_nodes[best]] then best = i end
    end
    local node = table.remove(edge_nodes, best)
    done[node] = true
    total = total + cost[node]
    for _, edge in ipairs(node.edges) do
      local to, c = edge.to, cost[node] + edge.weight
      if not done[to] then
        if cost[to] == nil then
          edge_nodes[#edge_nodes + 1] = to
          cost[to] = c
        elseif c < cost[to] then
          cost[to] = c
        end
      end
    end
  end
  return total
end

function Graph:topological()
  local left, ready, order = {}, {}, {}
  for _, node in ipairs(self.list) do
    left[node] = node.into
    if node.into == 0 then ready[#ready + 1] = node end
  end
  while #ready > 0 do
    local node = table.remove(ready)
    order[#order + 1] = node
    for _, edge in ipairs(node.edges) do
      left[edge.to] = left[edge.to] - 1
      if left[edge.to] == 0 then ready[#ready + 1] = edge.to end
    end
  end
  return order
end

local seed = 9
local function random(n)
  seed = seed * 16807 % 2147483647
  return seed % n + 1
end

local graph = Graph.new()
local COUNT = 1200
for i = 1, COUNT do graph:node("n" .. i) end
for i = 1, COUNT do
  for _ = 1, 4 do graph:connect("n" .. i, "n" .. random(COUNT), random(50)) end
end

local reached, total, cost = 0, 0, 0
for i = 1, 330 do
  local n, sum = graph:distances(graph.list[i])
  reached, total = reached + n, total + sum
  if i <= 18 then cost = cost + graph:cheapest(graph.list[i]) end
end
print(reached, total, cost)

local dag = Graph.new()
for i = 1, 3000 do
  for _ = 1, 3 do
    local other = i + random(100)
    dag:connect("t" .. i, "t" .. other, 1)
  end
end
local checksum = 0
for _ = 1, 24 do
  local order = dag:topological()
  for i, node in ipairs(order) do checksum = (checksum + i * #node.name) % 1000003 end
end
print(#dag.list, checksum)
