-- Eight queens and more: counts by columns and diagonals, and one board shown.
-- lua: 5.1+

local function solve(n)
  local columns, up, down = {}, {}, {}
  local board, solutions, shown = {}, 0, nil

  local function place(row)
    if row > n then
      solutions = solutions + 1
      if not shown then shown = table.concat(board, " ") end
      return
    end
    for column = 1, n do
      local u, d = row + column, row - column + n
      if not columns[column] and not up[u] and not down[d] then
        columns[column], up[u], down[d] = true, true, true
        board[row] = column
        place(row + 1)
        columns[column], up[u], down[d] = false, false, false
      end
    end
  end

  place(1)
  return solutions, shown
end

-- On a board rolled into a cylinder along the rows.
local function solve_cylinder(n)
  local columns, up, down, solutions = {}, {}, {}, 0
  local function place(row)
    if row > n then
      solutions = solutions + 1
      return
    end
    for column = 0, n - 1 do
      local u, d = (row + column) % n, (row - column) % n
      if not columns[column] and not up[u] and not down[d] then
        columns[column], up[u], down[d] = true, true, true
        place(row + 1)
        columns[column], up[u], down[d] = nil, nil, nil
      end
    end
  end
  place(1)
  return solutions
end

for n = 4, 12 do print(n, solve(n)) end
for n = 5, 12 do print("cylinder", n, solve_cylinder(n)) end
