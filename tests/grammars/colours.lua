-- Says, for each file that it is given, a line each: `file PATH`, then `START END GROUP` in bytes for every part of the text; and
-- `moved LINE` for every line that would be indented otherwise. With the package for Neovim on the runtime path:
-- nvim --headless -u NONE -c 'luafile colours.lua' FILE…
local out = {}

local function say(...)
  table.insert(out, string.format(...))
end

local function parts(lines)
  local at = 0
  for number, line in ipairs(lines) do
    local start, group = 1, nil
    for column = 1, #line + 1 do
      local found = column <= #line and vim.fn.synIDattr(vim.fn.synID(number, column, 1), "name") or nil
      if found ~= group then
        if group then
          say("%d %d %s", at + start - 1, at + column - 1, group == "" and "none" or group)
        end
        start, group = column, found
      end
    end
    at = at + #line + 1
  end
end

local function moved(lines)
  local indent = require("fwc.indent")
  for number, line in ipairs(lines) do
    if line:match("%S") and not vim.fn.synIDattr(vim.fn.synID(number, #line, 1), "name"):match("^fwcRaw") then
      if indent.of(number) ~= vim.fn.indent(number) then
        say("moved %d", number)
      end
    end
  end
end

local function play()
  vim.cmd("set noswapfile hidden nofixendofline shiftwidth=4 expandtab encoding=utf-8 nobomb fileformats=unix")
  vim.cmd("syntax on")
  for _, file in ipairs(vim.fn.argv()) do
    say("file %s", file)
    vim.cmd("edit ++enc=utf-8 ++ff=unix " .. vim.fn.fnameescape(file))
    vim.bo.shiftwidth = 4
    vim.cmd("syntax clear | unlet! b:current_syntax | runtime syntax/fwc.vim")
    local lines = vim.api.nvim_buf_get_lines(0, 0, -1, false)
    if vim.bo.bomb then
      lines[1] = "\239\187\191" .. lines[1]
    end
    parts(lines)
    moved(lines)
    vim.cmd("bwipeout!")
  end
end

local ok, fault = pcall(play)
if not ok then
  say("fault: %s", fault)
end
io.stdout:write(table.concat(out, "\n") .. "\n")
vim.cmd(ok and "qall!" or "cquit!")
