-- Money: one message about one window of one account (L3 to L8).

-- Keeps the newest limit (L4).
local function learn_limit(account, ask)
  local key = account_key(account)
  local kept = call('HMGET', key, 'limit', 'epoch', 'number')
  if not ask.limit then return kept[1] and money(kept[1]) end
  local newer = not kept[1] or longer(ask.epoch, kept[2]) or (ask.epoch == kept[2] and longer(ask.revision, kept[3]))
  if newer then
    call('HSET', key, 'limit', ask.limit, 'epoch', ask.epoch, 'number', ask.revision)
    if not kept[1] then call('PEXPIRE', key, KEPT) end
    return money(ask.limit)
  end
  return money(kept[1])
end

-- Whether a window may be lent from, by the ledger's clock; `V start:end` where another one stands in its way (L3).
local function place(account, ask, wall)
  if wall >= ask.finish + LATE then return nil, 'N' end
  local state = 'O'
  if wall >= ask.finish then
    state = 'N'
  elseif wall < ask.start - AHEAD then
    state = 'E'
  end
  local known = false
  local overlapping = nil
  for _, field in ipairs(call('HKEYS', account_key(account))) do
    local from, to = string.match(field, '^w:(%d+):(%d+)$')
    if from then
      if field == 'w:' .. ask.window then
        known = true
      elseif tonumber(to) > wall and tonumber(from) < ask.finish and ask.start < tonumber(to) then
        overlapping = from .. ' ' .. to
      elseif tonumber(to) + KEPT <= wall then
        call('HDEL', account_key(account), field)
      end
    end
  end
  if known then return true, state end
  if overlapping then return nil, 'V', overlapping end
  if state == 'E' or ask.start >= ask.finish then return nil, 'E' end
  return true, state
end

-- Takes totals and closing into a row.
local function learn(row, ask, wall)
  row.G, row.S, row.O = most(row.G, ask.G), most(row.S, ask.S), most(row.O, ask.O)
  if not row.closed then row.R = most(row.R, ask.R) end
  if ask.close and not row.closed then row.closed = wall end
end

local function money_ask(line)
  local w = words(line)
  return {
    account = w[2], window = w[3] .. ':' .. w[4], start = tonumber(w[3]), finish = tonumber(w[4]), who = w[5], pod = w[6],
    number = tonumber(w[7]), G = money(w[8]), S = money(w[9]), R = money(w[10]), O = money(w[11]),
    reservation = money(w[12]), at_least = w[13] ~= '-' and money(w[13]), background = w[14] == '1',
    limit = w[15] ~= '-' and w[15], epoch = w[16], revision = w[17], close = w[18] == '1', closed_total = money(w[19]),
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

local function handle_money(ledger, speaker, line)
  local ask = money_ask(line)
  local limit = learn_limit(ask.account, ask)
  local here, state, other = place(ask.account, ask, ledger.wall)
  if not here then return refused(ask, state, limit, other) end
  local page = page_of(ask.account, ask.window, ledger)
  local row = page.rows[ask.who]
    or { pod = ask.pod, number = 0, written = ZERO, G = ZERO, S = ZERO, R = ZERO, O = ZERO }
  page.rows[ask.who] = row
  learn(row, ask, ledger.wall)
  if ledger.lost then hear_of_lost(page, ask.closed_total, ledger) end
  local fresh = ask.number > row.number
  row.number = math.max(row.number, ask.number)
  if speaker == ask.who then row.seen = floor(ledger.mono / 1000) end
  local sums = sums_of(page, ledger)
  local wish = { lendable = most(ZERO, minus(limit or ZERO, sums.used)) }
  wish.tight = less(wish.lendable, times(most(ask.reservation, { 0, 1 }), 4 * sums.active))
  wish.size = most(ZERO, least(over(wish.lendable, 4 * sums.active), over(limit or ZERO, 100)))
  local short, granted = false, ZERO
  if ask.at_least then
    local need = minus(ask.at_least, row.G)
    if state == 'O' and not row.closed and fresh then
      -- A ledger that lends nothing now does not refuse either: the caller hears that it is unavailable, not that the
      -- budget has ended.
      if ledger.lends then
        granted = grant(need, wish, ask.background)
        short = less(ZERO, need) and not less(ZERO, granted)
      end
      row.G = plus(row.G, granted)
    end
    if short and not ask.background then ledger.recall(ask.account, ask.who) end
  end
  call('HSET', page.key, ask.who, line_of(row))
  if page.folded then save_sums(page) end
  if not page.known then keep(ask.account, page, ask.window, ask.finish) end
  call('ZADD', MOVED, ledger.wall, ask.account)
  local after = sums_of(page, ledger)
  return table.concat({
    state, text(row.G), wish.tight and '1' or '0', short and '1' or '0', text(wish.size),
    text(most(ZERO, minus(limit or ZERO, after.used))), text(after.spent), text(minus(after.leased, leased(row))),
    text(after.forfeited), text(after.closed), text(limit or ZERO), row.closed and '1' or '0',
  }, ' ')
end
