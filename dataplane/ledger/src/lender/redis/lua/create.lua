-- Makes an empty ledger, once. Its generation is above what anybody may know of an earlier one: the server's clock, in ms,
-- or more. ARGV: the least generation, lease in ms, 1 = it may have been another before, then pods
-- that are known. Answer: the generation, or 0 when there is a ledger already.
if call('HEXISTS', META, 'generation') == 1 then return '0' end
local clock = server_clock()
local generation = format('%.0f', math.max(tonumber(ARGV[1]), floor(clock / 1000)))
local lost = ARGV[3] == '1'
call('HSET', META, 'generation', generation, 'run_id', info('server', 'run_id'), 'mono', format('%.0f', clock), 'shift', '0',
  'wall', format('%.0f', floor(clock / 1000)), 'since_mono', format('%.0f', clock), 'lost', lost and '1' or '0')
if lost then
  call('HSET', META, 'until_mono', format('%.0f', clock + tonumber(ARGV[2]) * 1000))
  for i = 4, #ARGV do call('SADD', AWAITED, ARGV[i]) end
  -- Without a single name nobody knows who else is there: the whole lease is waited for.
  if #ARGV < 4 then call('SADD', AWAITED, '-') end
end
return generation
