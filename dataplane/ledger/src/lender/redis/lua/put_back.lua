-- Puts back rows that an operator kept (L14). ARGV[1]: account; ARGV[2]: window; ARGV[3]: base C; ARGV[4]: limit epoch
-- number or `-`; then pairs of incarnation and row. Rows that a pod has reported meanwhile stay. Answer: rows put back.
local account, window = ARGV[1], ARGV[2]
local finish = tonumber(string.match(window, ':(%d+)$'))
local ledger = { wall = floor(server_clock() / 1000), mono = 0 }
if call('EXISTS', META) == 0 then return -1 end
if ARGV[4] ~= '-' and call('HEXISTS', account_key(account), 'limit') == 0 then
  local w = words(ARGV[4])
  call('HSET', account_key(account), 'limit', w[1], 'epoch', w[2], 'number', w[3])
end
local page = page_of(account, window, ledger)
-- C is what pods told of it or what the operator knows, and never both: closed rows that come back are part of it.
local target = most(sums_of(page, ledger).closed, money(ARGV[3]))
local count = 0
for i = 5, #ARGV, 2 do
  if not page.rows[ARGV[i]] then
    call('HSET', page.key, ARGV[i], ARGV[i + 1])
    page.rows[ARGV[i]] = row_of(ARGV[i + 1])
    count = count + 1
  end
end
local without = minus(sums_of(page, ledger).closed, page.F.lost)
page.F.lost = most(ZERO, minus(target, without))
save_sums(page)
keep(account, page, window, finish)
call('ZADD', MOVED, ledger.wall, account)
return count
