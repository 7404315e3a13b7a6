-- Puts back rows that an operator kept (L14). ARGV[1]: account; ARGV[2]: window; ARGV[3]: base C; ARGV[4]: limit epoch
-- number or `-`; then pairs of incarnation and row. Rows that a pod has reported meanwhile stay. Answer: rows put back.
local account, window = ARGV[1], ARGV[2]
local finish = tonumber(string.match(window, ':(%d+)$'))
local ledger = { wall = floor(server_clock() / 1000), mono = 0 }
if call('HEXISTS', META, 'generation') == 0 then return -1 end
if ARGV[4] ~= '-' and call('HEXISTS', account_key(account), 'limit') == 0 then
  local w = words(ARGV[4])
  call('HSET', account_key(account), 'limit', w[1], 'epoch', w[2], 'number', w[3])
end
local page = page_of(account, window, ledger, nil, true)
-- C is what pods told of it or what the operator knows, and never both: closed rows that come back are part of it.
local target = most(sums_of(page).closed, money(ARGV[3]))
local count = 0
for i = 5, #ARGV, 2 do
  local who = ARGV[i]
  if not page.rows[who] and not call('ZSCORE', names_key(page.key), who) then
    local row = row_of(ARGV[i + 1])
    call('HSET', page.key, who, ARGV[i + 1])
    page.rows[who] = row
    move(page.T, NOTHING, parts_of(row))
    count = count + 1
  end
end
count_within(page, target)
save(page)
keep(account, page, window, finish)
call('ZADD', MOVED, ledger.wall, account)
return count
