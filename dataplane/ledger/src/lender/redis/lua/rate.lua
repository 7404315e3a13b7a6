-- Rates: rings of requests and tokens per second of the ledger's monotone clock, and permits (L23 to L25).
local CELLS, BEHIND = 62, 60
local U32 = 4294967295

-- A ring: slot -> units, for slots that still count.
local function ring_of(line, slot)
  local ring = {}
  if line then
    for at, units in string.gmatch(line, '(%d+) (%d+)') do
      if tonumber(at) + CELLS > slot then ring[tonumber(at)] = tonumber(units) end
    end
  end
  return ring
end

local function ring_line(ring)
  local all = {}
  for at, units in pairs(ring) do
    if units > 0 then all[#all + 1] = format('%.0f %.0f', at, units) end
  end
  return table.concat(all, ' ')
end

local function ring_add(ring, slot, units) ring[slot] = math.min((ring[slot] or 0) + units, U32) end
local function ring_take(ring, slot, units)
  if ring[slot] then ring[slot] = math.max(ring[slot] - units, 0) end
end
local function ring_sum(ring, from, to)
  local sum = 0
  for at, units in pairs(ring) do
    if at >= from and at <= to then sum = sum + units end
  end
  return sum
end
local function room(limit, used) return math.max(limit - used, 0) end

-- After how many slots `need` units are free if nobody takes any.
local function slots_until(ring, limit, need, now)
  local used = ring_sum(ring, now - BEHIND, now + 1)
  for later = 1, CELLS - 1 do
    used = used - (ring[now + later - BEHIND - 1] or 0)
    if used + need <= limit then return later end
  end
  return CELLS
end
local function slots_until_empty(ring, now)
  local last = nil
  for at, units in pairs(ring) do
    if units > 0 and at >= now - BEHIND and (not last or at > last) then last = at end
  end
  return last and math.max(last + BEHIND + 1 - now, 0) or 0
end

-- A seat: number heard_ms permits | latest number, slot, requests, tokens | rows of slot requests tokens and what was said.
local function seat_of(line)
  local w = words(line)
  local seat = {
    number = tonumber(w[1]), heard = tonumber(w[2]), permits = tonumber(w[3]),
    latest = { tonumber(w[4]), tonumber(w[5]), tonumber(w[6]), tonumber(w[7]) }, rows = {},
  }
  for i = 8, #w, 7 do
    local row = {}
    for j = 1, 7 do row[j] = tonumber(w[i + j - 1]) end
    seat.rows[row[1]] = row
  end
  return seat
end

local function seat_line(seat)
  local all = {
    format('%.0f %.0f %.0f', seat.number, seat.heard, seat.permits),
    format('%.0f %.0f %.0f %.0f', seat.latest[1], seat.latest[2], seat.latest[3], seat.latest[4]),
  }
  for _, row in pairs(seat.rows) do
    all[#all + 1] = format('%.0f %.0f %.0f %.0f %.0f %.0f %.0f', unpack(row))
  end
  return table.concat(all, ' ')
end

-- Rows are slot, requests, tokens, requests back, tokens back, requests over, tokens over.
local function seat_row(seat, slot)
  if not seat.rows[slot] then seat.rows[slot] = { slot, 0, 0, 0, 0, 0, 0 } end
  return seat.rows[slot]
end

-- The pod took no answer after `answered`: a later grant comes back, once.
local function unheard(seat, answered, book)
  local number, slot, requests, tokens = unpack(seat.latest)
  if number <= answered then return end
  seat.latest = { 0, 0, 0, 0 }
  local row = seat.rows[slot]
  if not row then return end
  row[2], row[3] = math.max(row[2] - requests, 0), math.max(row[3] - tokens, 0)
  ring_take(book.requests, slot, requests)
  ring_take(book.tokens, slot, tokens)
end

-- Running totals of a slot: what is new in them, never more back than was granted.
local function said(seat, totals, now, book)
  local slot = totals[1]
  if slot + CELLS <= now or slot > now + CELLS then return end
  local row = seat_row(seat, slot)
  local before = { row[4], row[5], row[6], row[7] }
  row[6], row[7] = math.max(row[6], totals[4]), math.max(row[7], totals[5])
  row[4] = math.max(row[4], math.min(totals[2], row[2] + row[6]))
  row[5] = math.max(row[5], math.min(totals[3], row[3] + row[7]))
  -- What was used without a grant counts from then on, also if it is heard later.
  ring_add(book.requests, math.min(slot, now), row[6] - before[3])
  ring_add(book.tokens, math.min(slot, now), row[7] - before[4])
  ring_take(book.requests, slot, row[4] - before[1])
  ring_take(book.tokens, slot, row[5] - before[2])
end

local function share(free, need, want, pods)
  local fair = math.ceil(free / math.max(pods * 2, 1))
  return math.min(free, math.max(need, math.min(want, fair)))
end

-- L23: g = min(free, max(need, min(want, ceil(free / (2 active))))); nothing when not even `least` is free.
local function lend_units(ring, limit, now, ahead, ask, pods, left)
  local slot, free = now, nil
  local next_window = ring_sum(ring, now + 1 - BEHIND, now + 1)
  if ahead then
    slot, free = now + 1, room(limit, next_window)
  else
    free = room(limit, math.max(ring_sum(ring, now - BEHIND, now), next_window))
  end
  local granted = 0
  if free >= ask[1] then granted = share(free, ask[2], ask[3], pods) end
  if granted > 0 then ring_add(ring, slot, granted) end
  local function micros(count) if count == 0 then return 0 end return left + (count - 1) * 1000000 end
  local wait = 0
  if granted < ask[1] then wait = micros(slots_until(ring, limit, ask[1], now)) end
  return granted, free - granted, wait, micros(slots_until_empty(ring, now))
end

local function rate_ask(line)
  local w = words(line)
  local function n(i) return tonumber(w[i]) end
  local ask = {
    account = w[2], who = w[3], number = n(4), generation = n(5), limits = w[6] .. ' ' .. w[7] .. ' ' .. w[8],
    epoch = w[9], revision = w[10], ahead = w[11] == '1', answered = n(12), requests = { n(13), n(14), n(15) },
    tokens = { n(16), n(17), n(18) }, hold = n(19), need = n(20), want = n(21), slots = {},
  }
  for i = 22, math.min(#w, 21 + 5 * CELLS), 5 do
    ask.slots[#ask.slots + 1] = { n(i), n(i + 1), n(i + 2), n(i + 3), n(i + 4) }
  end
  return ask
end

-- The account's book: limits, rings and seats.
local function book_of(key, slot)
  local book = { seats = {}, epoch = '0', revision = '0', limits = '0 0 0' }
  local kept, lines = call('HGETALL', key), {}
  for i = 1, #kept, 2 do
    local who = string.match(kept[i], '^s:(.*)$')
    if who then book.seats[who] = seat_of(kept[i + 1]) else lines[kept[i]] = kept[i + 1] end
  end
  if lines.l then
    local w = words(lines.l)
    book.limits, book.epoch, book.revision = w[1] .. ' ' .. w[2] .. ' ' .. w[3], w[4], w[5]
  end
  book.requests, book.tokens = ring_of(lines.q, slot), ring_of(lines.t, slot)
  return book
end

local function handle_rate(ledger, line)
  local ask = rate_ask(line)
  local key = base .. ':r:' .. ask.account
  local now, left = floor(ledger.mono / 1000000), 1000000 - ledger.mono % 1000000
  local ms = floor(ledger.mono / 1000)
  local out = { slot = ask.ahead and now + 1 or now, r = { 0, 0, 0, 0 }, t = { 0, 0, 0, 0 }, permits = 0, tight = false }
  local repeated, pods = false, 1
  if ask.generation == 0 or ask.generation == ledger.generation then
    local book = book_of(key, now)
    local newer = longer(ask.epoch, book.epoch)
      or (ask.epoch == book.epoch and (ask.revision == book.revision or longer(ask.revision, book.revision)))
      or is_from_ahead(book.epoch, ask.epoch, ledger)
    if newer then book.limits, book.epoch, book.revision = ask.limits, ask.epoch, ask.revision end
    local seat = book.seats[ask.who]
      or { number = 0, heard = 0, permits = 0, latest = { 0, 0, 0, 0 }, rows = {} }
    book.seats[ask.who] = seat
    local fresh = ask.number > seat.number
    if fresh then
      seat.number, seat.heard, seat.permits = ask.number, ms, ask.hold
      for slot in pairs(seat.rows) do
        if slot + CELLS <= now then seat.rows[slot] = nil end
      end
      unheard(seat, ask.answered, book)
      for _, totals in ipairs(ask.slots) do said(seat, totals, now, book) end
    end
    repeated = not fresh
    local active, permits = 0, 0
    for who, other in pairs(book.seats) do
      if ms - other.heard < 10000 then active = active + 1 end
      if ms - other.heard <= 10000 then permits = permits + other.permits end
      if ms - other.heard >= 120000 then
        call('HDEL', key, 's:' .. who)
        book.seats[who] = nil
      end
    end
    pods = math.max(active, 1)
    if fresh and ledger.local_for == 0 then
      local limits = words(book.limits)
      local requests, tokens, parallel = tonumber(limits[1]), tonumber(limits[2]), tonumber(limits[3])
      if requests > 0 then
        out.r = { lend_units(book.requests, requests, now, ask.ahead, ask.requests, pods, left) }
      end
      if tokens > 0 then out.t = { lend_units(book.tokens, tokens, now, ask.ahead, ask.tokens, pods, left) } end
      seat.latest = { ask.number, out.slot, out.r[1], out.t[1] }
      if out.r[1] > 0 or out.t[1] > 0 then
        local row = seat_row(seat, out.slot)
        row[2], row[3] = row[2] + out.r[1], row[3] + out.t[1]
      end
      if parallel > 0 then
        local free = math.max(parallel - permits, 0)
        local more = share(free, ask.need, ask.want, pods)
        seat.permits = seat.permits + more
        out.permits, out.tight = seat.permits, free - more < 4 * pods
      end
    end
    call('HSET', key, 'l', book.limits .. ' ' .. book.epoch .. ' ' .. book.revision, 'q', ring_line(book.requests), 't',
      ring_line(book.tokens), 's:' .. ask.who, seat_line(seat))
    call('PEXPIRE', key, 150000)
  end
  local function units(u) return format('%.0f %.0f %.0f %.0f', u[1], u[2], u[3], u[4]) end
  return table.concat({
    repeated and '1' or '0', format('%.0f %.0f', out.slot, left), units(out.r), units(out.t),
    format('%.0f', out.permits), out.tight and '1' or '0', format('%.0f', pods),
  }, ' ')
end
