-- Neovim as somebody uses it, with the package installed: opens a policy, sees what is wrong, takes the offered repair, and sees that all
-- is well. From the environment: FILE the policy, REPORT where to write what was seen. `fwc` is on the path.
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
  report(("file type %s, syntax %s, indented by %d"):format(vim.bo.filetype, vim.b.current_syntax, vim.bo.shiftwidth))
  wait("one diagnostic", function() return #vim.diagnostic.get(buffer) > 0 end)
  -- Whoever pulls as well has had the time to.
  vim.wait(300)
  for _, one in ipairs(vim.diagnostic.get(buffer)) do
    report(("sees %d:%d %s"):format(one.lnum, one.col, vim.split(one.message, "\n")[1]))
    vim.api.nvim_win_set_cursor(0, { one.lnum + 1, one.col })
  end
  vim.ui.select = function(items, _, choose)
    -- Neovim 0.7 gives pairs of a client and an action.
    report("takes " .. (items[1].action or items[1][2]).title)
    choose(items[1], 1)
  end
  vim.lsp.buf.code_action()
  wait("an empty list", function() return #vim.diagnostic.get(buffer) == 0 end)
  for _, line in ipairs(vim.api.nvim_buf_get_lines(buffer, 0, -1, false)) do
    report("line " .. line)
  end
  vim.cmd([[execute "normal! Goto host {\<CR>allow   dns\<CR>}\<CR>log"]])
  report("typed " .. table.concat(vim.api.nvim_buf_get_lines(buffer, 3, -1, false), "|"))
  vim.cmd("normal! ddgggqG")
  wait("the layout", function() return vim.fn.search("allow dns") > 0 end)
  report("laid out " .. table.concat(vim.api.nvim_buf_get_lines(buffer, 3, -1, false), "|"))
  vim.cmd("write")
  vim.cmd("edit " .. vim.fn.fnameescape(vim.env.FILE .. "test"))
  wait("the server in a second buffer", function() return vim.lsp.buf_get_clients(0)[1] ~= nil end)
  report("file type " .. vim.bo.filetype)
  local clients = vim.lsp.get_active_clients()
  report("below " .. vim.fn.fnamemodify(clients[1].config.root_dir, ":t"))
  report(("%d server"):format(#clients))
  vim.lsp.stop_client(clients)
  wait("the server's end", function() return #vim.lsp.get_active_clients() == 0 end)
  vim.cmd("edit! " .. vim.fn.fnameescape(vim.env.FILE))
  vim.cmd("edit!")
  wait("the server once more", function() return #vim.lsp.get_active_clients() == 1 end)
  vim.lsp.stop_client(vim.lsp.get_active_clients())
  wait("the server's end", function() return #vim.lsp.get_active_clients() == 0 end)
  report("done")
end

local ok, fault = pcall(play)
if not ok then
  report("fault " .. tostring(fault))
end
vim.cmd("qall!")
