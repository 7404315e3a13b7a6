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

-- Names of incarnations whose rows were folded: none is counted again. Of very many the last ones.
local NAMES = 4096
local function names_key(key) return key .. ':f' end
-- Incarnations that spoke in the last 10 s.
local function active_key(key) return key .. ':s' end

-- What a row adds to the sums.
local function parts_of(row)
  return {
    spent = spent(row), leased = leased(row), forfeited = forfeited(row),
    closed = row.closed and plus(spent(row), held(row)) or ZERO,
  }
end

local function move(T, from, to)
  for name, amount in pairs(to) do T[name] = plus(minus(T[name], from[name]), amount) end
end

local NOTHING = { spent = ZERO, leased = ZERO, forfeited = ZERO, closed = ZERO }

-- Reads all rows and adds them up. Rows closed 48 h ago become part of the folded sums, and so do rows of processes that
-- only looked.
local function scan(page, ledger)
  local T = { spent = ZERO, leased = ZERO, forfeited = ZERO, closed = ZERO }
  page.rows, page.T, page.next = {}, T, ledger.wall + HOUR
  local kept, gone = call('HGETALL', page.key), {}
  for i = 1, #kept, 2 do
    local who = kept[i]
    if who ~= 'F' and who ~= 'T' then
      page.known = true
      local row = row_of(kept[i + 1])
      local old = row.closed and row.closed + LATE <= ledger.wall
      local idle = not row.closed and row.seen and ledger.mono / 1000 - row.seen >= HOUR
        and not (less(ZERO, row.G) or less(ZERO, row.S) or less(ZERO, row.R) or less(ZERO, row.O))
      if old then
        local F = page.F
        F.spent, F.overrun = plus(F.spent, spent(row)), plus(F.overrun, row.O)
        F.forfeited = plus(F.forfeited, forfeited(row))
        F.written = plus(F.written, least(row.written, held(row)))
        page.folded = true
        call('ZADD', names_key(page.key), ledger.wall, who)
      end
      if old or idle then
        gone[#gone + 1] = who
      else
        page.rows[who] = row
        move(T, NOTHING, parts_of(row))
      end
    end
  end
  for _, who in ipairs(gone) do call('HDEL', page.key, who) end
  if page.folded then call('ZREMRANGEBYRANK', names_key(page.key), 0, -NAMES - 1) end
  page.scanned = true
end

-- A page: F, the sums of rows that are gone; T, the sums of those that are there, added up anew once an hour; and the row
-- of `who`. With `whole` all rows are read.
local function page_of(account, window, ledger, who, whole)
  local page = { key = window_key(account, window) }
  local kept = call('HMGET', page.key, 'F', 'T', who or '')
  local f, t = kept[1] and words(kept[1]) or {}, kept[2] and words(kept[2])
  page.F = { spent = money(f[1]), forfeited = money(f[2]), overrun = money(f[3]), written = money(f[4]), lost = money(f[5]) }
  page.known = (kept[1] or kept[2]) ~= false
  if t and not whole and ledger.wall < tonumber(t[5]) then
    page.T = { spent = money(t[1]), leased = money(t[2]), forfeited = money(t[3]), closed = money(t[4]) }
    page.next = tonumber(t[5])
    page.row = kept[3] and row_of(kept[3]) or nil
  else
    scan(page, ledger)
    page.row = who and page.rows[who]
  end
  return page
end

-- Whether this incarnation's row became part of the sums.
local function is_folded(page, who)
  return not page.row and call('ZSCORE', names_key(page.key), who) ~= false
end

-- Writes the sums, and a row.
local function save(page, who, row)
  local T, F = page.T, page.F
  local fields = {
    'T', table.concat({ exact(T.spent), exact(T.leased), exact(T.forfeited), exact(T.closed), format('%.0f', page.next) }, ' '),
  }
  if row then fields[3], fields[4] = who, line_of(row) end
  if page.folded then
    fields[#fields + 1] = 'F'
    fields[#fields + 1] =
      table.concat({ text(F.spent), text(F.forfeited), text(F.overrun), text(F.written), text(F.lost) }, ' ')
  end
  call('HSET', page.key, unpack(fields))
end

-- All sums of a page.
local function sums_of(page)
  local F, T = page.F, page.T
  local sums = {
    spent = plus(F.spent, T.spent), leased = T.leased, forfeited = plus(plus(F.forfeited, F.lost), T.forfeited),
    closed = plus(plus(plus(F.spent, F.forfeited), plus(F.written, F.lost)), T.closed),
  }
  sums.used = plus(plus(sums.spent, sums.leased), sums.forfeited)
  return sums
end

-- Notes that `who` spoke, unless it is nobody's live row; how many did in the last 10 s.
local function active_on(page, ledger, who, spoke)
  local key, ms = active_key(page.key), floor(ledger.mono / 1000)
  if spoke then
    call('ZADD', key, ms, who)
    call('PEXPIRE', key, 20000)
  end
  call('ZREMRANGEBYSCORE', key, '-inf', ms - 10000)
  return math.max(call('ZCARD', key), 1)
end

-- C without what is known of it only as a sum.
local function own_closed(page) return minus(sums_of(page).closed, page.F.lost) end

-- A pod knows a greater C than this ledger, which lost data: the difference is kept as a sum (L14).
local function hear_of_lost(page, told)
  local lost = minus(told, own_closed(page))
  if less(page.F.lost, lost) then
    page.F.lost, page.folded = lost, true
  end
end

-- A row that its teller knew to be part of C is in the page now: `c` is C as it was or was told, and stays.
local function count_within(page, c)
  page.F.lost, page.folded = most(ZERO, minus(c, own_closed(page))), true
end

local function account_key(account) return base .. ':a:' .. account end

-- Keeps page and account until 35 days after the window; those of a Lifetime budget until they are purged.
local function keep(account, page, window, finish)
  local key = account_key(account)
  local till = math.max(finish, tonumber(call('HGET', key, 'till') or '0'))
  call('HSET', key, 'w:' .. window, '1', 'till', format('%.0f', till))
  if finish < 1e16 then
    call('PEXPIREAT', page.key, format('%.0f', finish + KEPT))
    call('PEXPIREAT', names_key(page.key), format('%.0f', finish + KEPT))
  end
  if till < 1e16 then
    call('PEXPIREAT', key, format('%.0f', till + KEPT))
  else
    call('PERSIST', key)
  end
end
