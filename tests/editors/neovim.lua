-- Neovim as somebody uses it: opens a policy, sees what is wrong, takes the offered repair, and sees that all is well.
-- From the environment: FWC the program, FILE the policy, REPORT where to write what was seen.
local function report(text)
  local file = assert(io.open(vim.env.REPORT, "a"))
  file:write(text .. "\n")
  file:close()
end

local function wait(what, is_so)
  if not vim.wait(30000, is_so, 20) then
    error("waited in vain for " .. what)
  end
end

local function play()
  vim.cmd("edit " .. vim.fn.fnameescape(vim.env.FILE))
  local buffer = vim.api.nvim_get_current_buf()
  local client = vim.lsp.start_client({
    name = "fwc",
    cmd = { vim.env.FWC, "lsp" },
    root_dir = vim.fn.fnamemodify(vim.env.FILE, ":h"),
  })
  assert(vim.lsp.buf_attach_client(buffer, client), "attached")
  wait("a diagnostic", function() return #vim.diagnostic.get(buffer) > 0 end)
  for _, one in ipairs(vim.diagnostic.get(buffer)) do
    report(("sees %d:%d %s"):format(one.lnum, one.col, vim.split(one.message, "\n")[1]))
    vim.api.nvim_win_set_cursor(0, { one.lnum + 1, one.col })
  end
  vim.ui.select = function(items, _, choose)
    report("takes " .. items[1][2].title)
    choose(items[1], 1)
  end
  vim.lsp.buf.code_action()
  wait("an empty list", function() return #vim.diagnostic.get(buffer) == 0 end)
  for _, line in ipairs(vim.api.nvim_buf_get_lines(buffer, 0, -1, false)) do
    report("line " .. line)
  end
  vim.lsp.stop_client(client)
  wait("the server's end", function() return vim.lsp.get_client_by_id(client) == nil end)
  report("done")
end

local ok, fault = pcall(play)
if not ok then
  report("fault " .. tostring(fault))
end
vim.cmd("qall!")
