//! The scripts.

use smartflow_store::redis::Script;
use std::sync::LazyLock;

/// Publishes one record. The first command that writes is `XADD` with the id `<epoch>-<number>`: Redis refuses one that is
/// not later than the last, so that a leader that was paused changes nothing. Before that it is looked whether the stream
/// ends where the publisher believes: what it would build upon is else not there.
///
/// KEYS: stream, entries, head. ARGV: id, last id (empty = no stream), records to keep, `1` to begin anew, head, then tags
/// and bodies in turn. Answers `ok`, or `moved` and the last id.
pub(super) static PUBLISH: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local at = ''
if last[1] then at = last[1][1] end
if at ~= ARGV[2] then return {'moved', at} end
local previous = at
if ARGV[4] == '1' then
  redis.call('DEL', KEYS[1], KEYS[2])
  previous = ''
end
redis.call('XADD', KEYS[1], 'MAXLEN', '=', ARGV[3], ARGV[1], 'p', previous, 'h', ARGV[5], unpack(ARGV, 6))
redis.call('SET', KEYS[3], ARGV[5])
for i = 6, #ARGV, 2 do
  local field = string.sub(ARGV[i + 1], 1, 16)
  if ARGV[i] == 'e' then
    redis.call('HSET', KEYS[2], field, string.sub(ARGV[i + 1], 17))
  else
    redis.call('HDEL', KEYS[2], field)
  end
end
return {'ok', ''}",
    )
});

/// What changed without the publisher, and the heartbeats. KEYS: stream, entries, head, gateways. Answers last id, number of
/// entries, head, milliseconds by the clock of Redis, heartbeats.
pub(super) static LOOK: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local at = ''
if last[1] then at = last[1][1] end
local time = redis.call('TIME')
return {
  at,
  redis.call('HLEN', KEYS[2]),
  redis.call('GET', KEYS[3]) or '',
  time[1] * 1000 + math.floor(time[2] / 1000),
  redis.call('HGETALL', KEYS[4]),
}",
    )
});

/// Notes a heartbeat with the time of Redis. KEYS: gateways. ARGV: pod, beat.
pub(crate) static BEAT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('HSET', KEYS[1], ARGV[1], now .. ' ' .. ARGV[2])
return 1",
    )
});
