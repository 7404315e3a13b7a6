//! The scripts, put together from their parts.

use smartflow_store::redis::Script;

const NUMBER: &str = include_str!("lua/number.lua");
const LEDGER: &str = include_str!("lua/ledger.lua");
const PAGE: &str = include_str!("lua/page.lua");
const MONEY: &str = include_str!("lua/money.lua");
const RATE: &str = include_str!("lua/rate.lua");
const EXCHANGE: &str = include_str!("lua/exchange.lua");
const CREATE: &str = include_str!("lua/create.lua");
const PUT_BACK: &str = include_str!("lua/put_back.lua");
const WRITE_OFF: &str = include_str!("lua/write_off.lua");
const PURGE: &str = include_str!("lua/purge.lua");

/// All scripts of the ledger.
pub(crate) struct Scripts {
    pub(super) exchange: Script,
    pub(super) create: Script,
    pub(super) put_back: Script,
    pub(super) write_off: Script,
    pub(super) purge: Script,
}

impl Default for Scripts {
    fn default() -> Self {
        Self::of(str::to_owned)
    }
}

impl Scripts {
    fn of(edit: impl Fn(&str) -> String) -> Self {
        let script = |parts: &[&str]| Script::new(edit(&parts.concat()));
        Self {
            exchange: script(&[NUMBER, LEDGER, PAGE, MONEY, RATE, EXCHANGE]),
            create: script(&[NUMBER, LEDGER, CREATE]),
            put_back: script(&[NUMBER, LEDGER, PAGE, PUT_BACK]),
            write_off: script(&[NUMBER, LEDGER, PAGE, WRITE_OFF]),
            purge: script(&[NUMBER, LEDGER, PURGE]),
        }
    }

    /// The same with the server's clock read from the key `<base>:clock` (microseconds): tests of rates would take
    /// minutes otherwise, and could not ask for exact times.
    #[cfg(test)]
    pub(super) fn with_simulated_clock() -> Self {
        Self::of(|source| {
            let clock = "local t = call('TIME')";
            assert!(source.contains(clock), "the clock moved");
            source.replace(clock, "local c = tonumber(call('GET', base .. ':clock'))\n  local t = { floor(c / 1000000), c % 1000000 }")
        })
    }
}
