-- One exchange of a pod. ARGV[1]: incarnation pod recalls_after lease_ms allow_unreplicated told known looked; then its
-- messages. `looked`: what a look at the server found, `well` or `evicting`; `-` without a look.
-- Answer: a header, the recalls, and an answer per message.
local head = words(ARGV[1])
local speaker, pod, after = head[1], head[2], head[3]
local ledger = open(tonumber(head[4]), tonumber(head[7]))
if not ledger then return { 'none' } end
-- Every pod must stop, also one that has not looked yet.
if head[8] == 'evicting' then
  call('HSET', META, 'stopped', 'evicting')
  ledger.stopped = 'evicting'
elseif head[8] == 'well' then
  call('HDEL', META, 'stopped')
  ledger.stopped = nil
end

local replicas = tonumber(info('replication', 'connected_slaves')) or 0
if replicas > 0 and not ledger.replicated then
  call('HSET', META, 'replicated', '1')
  ledger.replicated = true
end
local unprotected = ledger.replicated and replicas == 0
-- This pod has said all it knows to this generation: recovery does not wait for it any longer (L14).
if tonumber(head[6]) == ledger.generation then call('SREM', AWAITED, pod) end
if ledger.recovering and call('SCARD', AWAITED) == 0 then
  call('HDEL', META, 'until_mono')
  ledger.recovering = false
end
ledger.lends = not ledger.recovering and not ledger.stopped and (not unprotected or head[5] == '1')

local ms = floor(ledger.mono / 1000)
-- Whoever speaks for others (the operator) is no pod.
if tonumber(pod, 16) ~= 0 then call('ZADD', FLEET, ms, pod) end
call('ZREMRANGEBYSCORE', FLEET, '-inf', ms - 48 * HOUR)
call('ZREMRANGEBYSCORE', MOVED, '-inf', ledger.wall - KEPT)
local fleet = call('ZCOUNT', FLEET, '(' .. format('%.0f', ms - 60000), '+inf')
-- A ring that was lost is not lent from for the minute that it forgot (L23).
ledger.local_for = 0
if ledger.lost and ledger.since + 60000000 > ledger.mono then ledger.local_for = ledger.since + 60000000 - ledger.mono end

local recalled = 0
ledger.recall = function(account, who)
  local last = call('XREVRANGE', RECALL, '+', '-', 'COUNT', 1)
  local id = ledger.wall
  if last[1] then id = math.max(id, tonumber(string.match(last[1][1], '^%d+')) + 1) end
  call('XADD', RECALL, 'MAXLEN', '~', 1024, format('%.0f', id) .. '-0', 'a', account, 'i', who)
  recalled = recalled + 1
end

local answers = { '', {} }
for i = 2, #ARGV do
  local line = ARGV[i]
  if sub(line, 1, 1) == 'm' then
    answers[i + 1] = handle_money(ledger, speaker, line)
  else
    answers[i + 1] = handle_rate(ledger, line)
  end
end
if sub(after, 1, 1) ~= '-' then
  answers[2] = call('XRANGE', RECALL, '(' .. after .. '-0', '+', 'COUNT', 1024)
end
answers[1] = table.concat({
  format('%.0f', ledger.generation), ledger.recovering and '1' or '0', format('%.0f', ledger.wall),
  format('%.0f', fleet), format('%.0f', ledger.local_for), format('%.0f', replicas), unprotected and '1' or '0',
  ledger.stopped or '-',
}, ' ')
return answers
