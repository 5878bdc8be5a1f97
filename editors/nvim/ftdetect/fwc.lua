vim.filetype.add({ extension = { fw = "fwc", fwtest = "fwc" } })
