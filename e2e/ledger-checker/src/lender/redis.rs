//! What the lender in Redis keeps: a hash for each window of each account, `<prefix>:ledger:1:w:<account>:<start>:<end>`.
//! Its fields are incarnations with `pod number closed written_off granted spent returned overrun seen`, and `F`, the sum of
//! rows that are gone: `spent forfeited overrun written_off lost`; `T` is the lender's own sum of the rows, which this adds up
//! for itself. Keys of other types beside it say who was active and which rows are gone.

use crate::evidence::{Entry, Row, Window};
use std::process::Command;

/// All of it at one instant, one line a field; the last line tells whether the server is a master.
const READ: &str = "local told = {} \
    for _, key in ipairs(redis.call('KEYS', ARGV[1])) do \
      local page = redis.call('TYPE', key).ok == 'hash' and redis.call('HGETALL', key) or {} \
      for i = 1, #page, 2 do told[#told + 1] = key .. ' ' .. page[i] .. ' ' .. page[i + 1] end \
    end \
    told[#told + 1] = 'end ' .. string.match(redis.call('INFO', 'replication'), 'role:(%a*)') \
    return told";
const PAGES: &str = "smartflow:ledger:1:w:*";

/// The books of the server on `port`; `None` when it is not there, or no master.
///
/// # Panics
/// When `redis-cli` cannot be run, or a line is not what the format says.
#[must_use]
#[allow(clippy::expect_used, clippy::panic)]
pub fn read(port: u16) -> Option<Vec<Entry>> {
    let mut command = Command::new("redis-cli");
    command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "EVAL_RO", READ, "0", PAGES]);
    let told = command.output().expect("redis-cli runs");
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let mut lines: Vec<&str> = told.lines().collect();
    lines.pop().filter(|last| *last == "end master")?;
    let own_sum = |line: &&str| line.split(' ').nth(1) == Some("T");
    let entries = lines
        .into_iter()
        .filter(|line| !own_sum(line))
        .map(|line| entry(line).unwrap_or_else(|| panic!("no row: {line}")));
    // A sum stands for all rows before it, and these rows are beside it.
    let (sums, rows): (Vec<_>, Vec<_>) = entries.partition(|entry| matches!(entry, Entry::Sum { .. }));
    Some(sums.into_iter().chain(rows).collect())
}

fn entry(line: &str) -> Option<Entry> {
    let words: Vec<&str> = line.split(' ').collect();
    let mut name = words.first()?.rsplitn(4, ':');
    let (end, start) = (name.next()?.parse().ok()?, name.next()?.parse().ok()?);
    let (account, window) = (u128::from_str_radix(name.next()?, 16).ok()?, Window { start, end });
    let amount = |at: usize| words.get(at)?.parse::<i64>().ok();
    if *words.get(1)? == "F" {
        let lost = amount(6)?;
        return Some(Entry::Sum {
            account,
            window,
            spent: amount(2)?,
            forfeited: amount(3)? + lost,
            overrun: amount(4)?,
        });
    }
    Some(Entry::Row(Row {
        account,
        window,
        incarnation: u128::from_str_radix(words.get(1)?, 16).ok()?,
        granted: amount(6)?,
        spent: amount(7)?,
        returned: amount(8)?,
        overrun: amount(9)?,
        closed: *words.get(4)? != "-",
        written_off: amount(5)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_sums_are_read() {
        let window = Window { start: 0, end: i64::MAX };
        let row = entry(
            "smartflow:ledger:1:w:0000000000000000000000000000000a:0:9223372036854775807 0b 0c 7 - 1 6 3 2 4 99",
        );
        let want = Row {
            account: 10,
            window,
            incarnation: 11,
            granted: 6,
            spent: 3,
            returned: 2,
            overrun: 4,
            closed: false,
            written_off: 1,
        };
        assert_eq!(row, Some(Entry::Row(want)));
        let closed = entry("smartflow:ledger:1:w:0a:0:9223372036854775807 0b 0c 7 1234 1 6 3 2 4 -");
        assert_eq!(closed, Some(Entry::Row(Row { closed: true, ..want })));
        let sum = entry("smartflow:ledger:1:w:0a:0:9223372036854775807 F 5 4 3 2 1");
        assert_eq!(sum, Some(Entry::Sum { account: 10, window, spent: 5, forfeited: 5, overrun: 3 }));
        assert_eq!(entry("smartflow:ledger:1:w:0a:0:9 0b 0c 7"), None);
    }
}
