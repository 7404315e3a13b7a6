-- Money: one message about one window of one account (L3 to L8).

-- Keeps the newest limit (L4).
local function learn_limit(account, ask, ledger)
  local key = account_key(account)
  local kept = call('HMGET', key, 'limit', 'epoch', 'number')
  if not ask.limit then return kept[1] and money(kept[1]) end
  local newer = not kept[1] or longer(ask.epoch, kept[2]) or (ask.epoch == kept[2] and longer(ask.revision, kept[3]))
    or is_from_ahead(kept[2], ask.epoch, ledger)
  if newer then
    call('HSET', key, 'limit', ask.limit, 'epoch', ask.epoch, 'number', ask.revision)
    -- `keep` has decided where a window is known already, also of a predecessor, who says no limit.
    if not kept[1] and call('HEXISTS', key, 'till') == 0 then call('PEXPIRE', key, KEPT) end
    return money(ask.limit)
  end
  return money(kept[1])
end

-- Where the ledger's clock stands towards a window (L3).
local function state_of(ask, wall)
  if wall >= ask.finish then return 'N' end
  return wall < ask.start - AHEAD and 'E' or 'O'
end

-- Whether a window that has no page yet gets one; `V start end` where another one stands in its way (L3).
local function place(ask, state, wall)
  local overlapping = nil
  for _, field in ipairs(call('HKEYS', account_key(ask.account))) do
    local from, to = string.match(field, '^w:(%d+):(%d+)$')
    if from and field ~= 'w:' .. ask.window then
      if tonumber(to) > wall and tonumber(from) < ask.finish and ask.start < tonumber(to) then
        overlapping = from .. ' ' .. to
      elseif tonumber(to) + KEPT <= wall then
        call('HDEL', account_key(ask.account), field)
      end
    end
  end
  if overlapping then return nil, 'V', overlapping end
  if state == 'E' or ask.start >= ask.finish then return nil, 'E' end
  return true, state
end

-- Takes totals and closing into a row.
local function learn(row, ask, wall)
  row.G, row.S, row.O = most(row.G, ask.G), most(row.S, ask.S), most(row.O, ask.O)
  if not row.closed then row.R = most(row.R, ask.R) end
  if (ask.close or ask.counted) and not row.closed then row.closed = wall end
end

local function money_ask(line)
  local w = words(line)
  return {
    account = w[2], window = w[3] .. ':' .. w[4], start = tonumber(w[3]), finish = tonumber(w[4]), who = w[5], pod = w[6],
    number = tonumber(w[7]), G = money(w[8]), S = money(w[9]), R = money(w[10]), O = money(w[11]),
    reservation = money(w[12]), at_least = w[13] ~= '-' and money(w[13]), background = w[14] == '1',
    limit = w[15] ~= '-' and w[15], epoch = w[16], revision = w[17], close = w[18] == '1', closed_total = money(w[19]),
    counted = w[20] == '1',
  }
end

local function refused(ask, state, limit, other)
  return table.concat({
    state, text(ask.G), '0 0 0 0', text(plus(ask.S, ask.O)), '0 0', text(ask.closed_total), text(limit or ZERO),
    ask.close and '1' or '0', other or '',
  }, ' ')
end

-- How much is lent to a pod that lacks `need` (L7): all or nothing.
local function grant(need, wish, background)
  if not less(ZERO, need) or less(wish.lendable, need) or (background and wish.tight) then return ZERO end
  if wish.tight then return need end
  return least(most(need, wish.size), wish.lendable)
end

-- Takes what is said into the page. Answers the row, or nil where it is part of the sums, and whether a lend in it counts.
local function hear(page, ask, ledger)
  -- A ledger that never lost anything knows of all that was ever closed in it.
  local told = ledger.lost and ask.closed_total or ZERO
  if is_folded(page, ask.who) then
    hear_of_lost(page, told)
    return nil, false
  end
  local row = page.row or { pod = ask.pod, number = 0, written = ZERO, G = ZERO, S = ZERO, R = ZERO, O = ZERO }
  local before, c = page.row and parts_of(row) or NOTHING, most(sums_of(page).closed, told)
  local was_closed = row.closed
  learn(row, ask, ledger.wall)
  move(page.T, before, parts_of(row))
  if ask.counted and not was_closed then
    count_within(page, c)
  else
    hear_of_lost(page, told)
  end
  if row.closed and not was_closed then call('ZREM', active_key(page.key), ask.who) end
  local fresh = ask.number > row.number
  row.number = math.max(row.number, ask.number)
  return row, fresh
end

-- Lends what is asked for, if it is to be had; whether it was short.
local function lend(page, row, ask, wish, ledger)
  local need = minus(ask.at_least, row.G)
  -- A ledger that lends nothing now does not refuse either: the caller hears that it is unavailable, not that the budget
  -- has ended.
  if not ledger.lends then return false end
  local granted = grant(need, wish, ask.background)
  local before = parts_of(row)
  row.G = plus(row.G, granted)
  move(page.T, before, parts_of(row))
  local short = less(ZERO, need) and not less(ZERO, granted)
  if short and not ask.background then ledger.recall(ask.account, ask.who) end
  return short
end

local function handle_money(ledger, speaker, line)
  local ask = money_ask(line)
  local limit = learn_limit(ask.account, ask, ledger)
  local state = state_of(ask, ledger.wall)
  if ledger.wall >= ask.finish + LATE then return refused(ask, state, limit) end
  local page = page_of(ask.account, ask.window, ledger, ask.who)
  if not page.known then
    local here, why, other = place(ask, state, ledger.wall)
    if not here then return refused(ask, why, limit, other) end
  end
  local row, fresh = hear(page, ask, ledger)
  local speaks = row and not row.closed and speaker == ask.who
  if speaks then row.seen = floor(ledger.mono / 1000) end
  local active = active_on(page, ledger, ask.who, speaks)
  local wish = { lendable = most(ZERO, minus(limit or ZERO, sums_of(page).used)) }
  wish.tight = less(wish.lendable, times(most(ask.reservation, { 0, 1 }), 4 * active))
  wish.size = most(ZERO, least(over(wish.lendable, 4 * active), over(limit or ZERO, 100)))
  local short = false
  if ask.at_least and state == 'O' and row and not row.closed and fresh then
    short = lend(page, row, ask, wish, ledger)
  end
  save(page, ask.who, row)
  if page.scanned then keep(ask.account, page, ask.window, ask.finish) end
  call('ZADD', MOVED, ledger.wall, ask.account)
  local after = sums_of(page)
  return table.concat({
    state, text(row and row.G or ask.G), wish.tight and '1' or '0', short and '1' or '0', text(wish.size),
    text(most(ZERO, minus(limit or ZERO, after.used))), text(after.spent),
    text(minus(after.leased, row and leased(row) or ZERO)), text(after.forfeited), text(after.closed), text(limit or ZERO),
    (not row or row.closed) and '1' or '0',
  }, ' ')
end
