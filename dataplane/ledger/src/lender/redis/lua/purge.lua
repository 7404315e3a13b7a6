-- Forgets an account. ARGV: account. Answer: whether it was there.
local key = base .. ':a:' .. ARGV[1]
local was = call('EXISTS', key)
for _, field in ipairs(call('HKEYS', key)) do
  local window = string.match(field, '^w:(.*)$')
  if window then
    local page = base .. ':w:' .. ARGV[1] .. ':' .. window
    call('DEL', page, page .. ':f', page .. ':s')
  end
end
call('DEL', key)
-- Whoever keeps a copy sees that it moved, and that it is gone.
if was == 1 then call('ZADD', MOVED, floor(server_clock() / 1000), ARGV[1]) end
return was
