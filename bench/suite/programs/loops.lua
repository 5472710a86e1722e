-- Loops, tables, closures and strings: loops.lua COUNT
local function queens(size)
  local columns, rising, falling, found = {}, {}, {}, 0
  local function place(row)
    if row > size then found = found + 1 return end
    for column = 1, size do
      local up, down = row + column, row - column + size
      if not (columns[column] or rising[up] or falling[down]) then
        columns[column], rising[up], falling[down] = true, true, true
        place(row + 1)
        columns[column], rising[up], falling[down] = nil, nil, nil
      end
    end
  end
  place(1)
  return found
end

local total = 0
for round = 1, tonumber(arg[1]) do
  total = total + queens(7)
  local parts = {}
  for i = 1, 2000 do parts[#parts + 1] = tostring(i * round % 977) end
  local text = table.concat(parts, ",")
  for number in text:gmatch("%d+") do total = (total * 31 + tonumber(number)) % 1000003 end
end
print(total)
