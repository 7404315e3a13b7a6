-- The ledger as a whole: its clock, its generation, who is there. KEYS[1] is the first part of every key.
local base = KEYS[1]
local call = redis.call
local META, FLEET, AWAITED, RECALL, MOVED =
  base .. ':meta', base .. ':fleet', base .. ':awaited', base .. ':recall', base .. ':moved'
local HOUR = 3600000
local LATE, AHEAD, KEPT = 48 * HOUR, 60000, 35 * 24 * HOUR

-- Microseconds since 1970 by the server.
local function server_clock()
  local t = call('TIME')
  return tonumber(t[1]) * 1000000 + tonumber(t[2])
end

local function info(section, field)
  return string.match(call('INFO', section), field .. ':([^\r\n]*)') or ''
end

-- Whether the age of what is kept is that of a clock that was ahead, and what is told now is not: it must not stand in the
-- way of what comes later.
local function is_from_ahead(kept, told, ledger) return longer(kept, ledger.now) and not longer(told, ledger.now) end

-- From here on the ledger is one that lost data (L14): it lends nothing until everybody in `AWAITED` has said all.
local function lose(m, ledger, lease, generation)
  m.generation, m.lost = format('%.0f', generation), '1'
  m.until_mono = format('%.0f', ledger.mono + lease * 1000)
  m.since_mono = format('%.0f', ledger.mono)
  call('HSET', META, 'generation', m.generation, 'until_mono', m.until_mono, 'since_mono', m.since_mono, 'lost', '1')
  call('DEL', AWAITED)
  for _, pod in ipairs(call('ZRANGE', FLEET, 0, -1)) do call('SADD', AWAITED, pod) end
end

-- The ledger, or nil before the operator made it. Brings its clocks forward and sees whether data was lost. `known` is the
-- last generation that the speaker heard, 0 for none.
local function open(lease, known)
  local m = {}
  local kept = call('HGETALL', META)
  for i = 1, #kept, 2 do m[kept[i]] = kept[i + 1] end
  if not m.generation then return nil end
  local clock = server_clock()
  -- Neither clock goes back. Where the server's did, the monotone one goes on from where it was, at its new pace.
  local shift, last = tonumber(m.shift or '0'), tonumber(m.mono or '0')
  if clock + shift < last then shift = last - clock end
  local ledger = { mono = clock + shift, wall = math.max(floor(clock / 1000), tonumber(m.wall or '0')) }
  local run = info('server', 'run_id')
  if m.run_id ~= run then
    -- Another server, or the same one started again: what it had not written down is gone (L14).
    call('HSET', META, 'run_id', run)
    lose(m, ledger, lease, math.max(tonumber(m.generation) + 1, ledger.wall))
  end
  local own = tonumber(m.generation)
  if known > own or (known > 0 and known ~= own and m.lost ~= '1') then
    -- The speaker knows a ledger that this one knows nothing of: somebody who did not know of it made this one after it was
    -- lost. Who else knows of it cannot be told. A pod drops what comes from a generation below the one that it knows.
    lose(m, ledger, lease, known > own and known + 1 or own)
    call('SADD', AWAITED, '-')
  end
  call('HSET', META, 'wall', format('%.0f', ledger.wall), 'mono', format('%.0f', ledger.mono), 'shift', format('%.0f', shift))
  ledger.now = format('%.0f', ledger.wall)
  ledger.generation, ledger.lost = tonumber(m.generation), m.lost == '1'
  ledger.recovering = m.until_mono ~= nil and ledger.mono < tonumber(m.until_mono)
  ledger.since = tonumber(m.since_mono or '0')
  ledger.stopped, ledger.replicated = m.stopped, m.replicated == '1'
  return ledger
end
