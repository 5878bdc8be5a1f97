-- How far a line of a policy is indented.
local M = {}

-- How many more braces a line opens than it closes, and whether it begins with one that closes.
local function braces(line)
  local code = line:gsub('"[^"]*"', ""):gsub("#.*", "")
  local _, opened = code:gsub("{", "")
  local _, closed = code:gsub("}", "")
  return opened - closed, code:match("^%s*}") ~= nil
end

function M.of(number)
  local before = vim.fn.prevnonblank(number - 1)
  if before == 0 then
    return 0
  end
  local more, began_closing = braces(vim.fn.getline(before))
  local _, closing = braces(vim.fn.getline(number))
  local steps = more + (began_closing and 1 or 0) - (closing and 1 or 0)
  return math.max(0, vim.fn.indent(before) + steps * vim.fn.shiftwidth())
end

return M
