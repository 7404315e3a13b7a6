-- Makes lendable again what a closed incarnation took along. ARGV: account, window, incarnation. Answer: how much.
local key = window_key(ARGV[1], ARGV[2])
local line = call('HGET', key, ARGV[3])
if not line then return 'unknown' end
local row = row_of(line)
if not row.closed then return 'live' end
local freed = forfeited(row)
row.written = plus(row.written, freed)
call('HSET', key, ARGV[3], line_of(row))
-- Added up anew at the next message.
call('HDEL', key, 'T')
call('ZADD', MOVED, floor(server_clock() / 1000), ARGV[1])
return text(freed)
