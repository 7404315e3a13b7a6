-- One window of one account: a row per incarnation, and the sums of rows that are gone.
-- A row: pod number closed written_off G S R O seen. `closed` is unix ms or `-`; `seen` is in ms of the monotone clock.
local function window_key(account, window) return base .. ':w:' .. account .. ':' .. window end

local function row_of(line)
  local w = words(line)
  return {
    pod = w[1], number = tonumber(w[2]), closed = tonumber(w[3]), written = money(w[4]),
    G = money(w[5]), S = money(w[6]), R = money(w[7]), O = money(w[8]), seen = tonumber(w[9]),
  }
end

local function line_of(row)
  return table.concat({
    row.pod, format('%.0f', row.number), row.closed and format('%.0f', row.closed) or '-', text(row.written),
    text(row.G), text(row.S), text(row.R), text(row.O), row.seen and format('%.0f', row.seen) or '-',
  }, ' ')
end

local function held(row) return most(ZERO, minus(minus(row.G, row.S), row.R)) end
local function spent(row) return plus(row.S, row.O) end
local function leased(row) if row.closed then return ZERO end return held(row) end
local function forfeited(row)
  if not row.closed then return ZERO end
  return most(ZERO, minus(held(row), row.written))
end

-- Reads a page; rows closed 48 h ago become part of the sums, and so do rows of processes that only looked.
local function page_of(account, window, ledger)
  local page = { key = window_key(account, window), rows = {} }
  local f = nil
  local kept = call('HGETALL', page.key)
  for i = 1, #kept, 2 do
    if kept[i] == 'F' then f = words(kept[i + 1]) else page.rows[kept[i]] = row_of(kept[i + 1]) end
  end
  page.known = #kept > 0
  f = f or {}
  page.F = { spent = money(f[1]), forfeited = money(f[2]), overrun = money(f[3]), written = money(f[4]), lost = money(f[5]) }
  for who, row in pairs(page.rows) do
    local old = row.closed and row.closed + LATE <= ledger.wall
    local idle = not row.closed and row.seen and ledger.mono / 1000 - row.seen >= HOUR
      and not (less(ZERO, row.G) or less(ZERO, row.S) or less(ZERO, row.R) or less(ZERO, row.O))
    if old then
      local F = page.F
      F.spent, F.overrun = plus(F.spent, spent(row)), plus(F.overrun, row.O)
      F.forfeited = plus(F.forfeited, forfeited(row))
      F.written = plus(F.written, least(row.written, held(row)))
      page.folded = true
    end
    if old or idle then
      call('HDEL', page.key, who)
      page.rows[who] = nil
    end
  end
  return page
end

local function save_sums(page)
  local F = page.F
  call('HSET', page.key, 'F',
    table.concat({ text(F.spent), text(F.forfeited), text(F.overrun), text(F.written), text(F.lost) }, ' '))
end

-- All sums of a page, and how many pods were active on it in the last 10 s.
local function sums_of(page, ledger)
  local F = page.F
  local sums = {
    spent = F.spent, leased = ZERO, forfeited = plus(F.forfeited, F.lost), active = 0,
    closed = plus(plus(F.spent, F.forfeited), plus(F.written, F.lost)),
  }
  for _, row in pairs(page.rows) do
    sums.spent = plus(sums.spent, spent(row))
    sums.leased = plus(sums.leased, leased(row))
    sums.forfeited = plus(sums.forfeited, forfeited(row))
    if row.closed then
      sums.closed = plus(sums.closed, plus(spent(row), held(row)))
    elseif row.seen and ledger.mono / 1000 - row.seen < 10000 then
      sums.active = sums.active + 1
    end
  end
  sums.active = math.max(sums.active, 1)
  sums.used = plus(plus(sums.spent, sums.leased), sums.forfeited)
  return sums
end

-- A pod knows a greater C than this ledger, which lost data: the difference is kept as a sum (L14).
local function hear_of_lost(page, told, ledger)
  local sums = sums_of(page, ledger)
  local lost = minus(told, minus(sums.closed, page.F.lost))
  if less(page.F.lost, lost) then
    page.F.lost = lost
    page.folded = true
  end
end

local function account_key(account) return base .. ':a:' .. account end

-- Keeps page and account until 35 days after the window; those of a Lifetime budget until they are purged.
local function keep(account, page, window, finish)
  local key = account_key(account)
  local till = math.max(finish, tonumber(call('HGET', key, 'till') or '0'))
  call('HSET', key, 'w:' .. window, '1', 'till', format('%.0f', till))
  if finish < 1e16 then call('PEXPIREAT', page.key, format('%.0f', finish + KEPT)) end
  if till < 1e16 then
    call('PEXPIREAT', key, format('%.0f', till + KEPT))
  else
    call('PERSIST', key)
  end
end
