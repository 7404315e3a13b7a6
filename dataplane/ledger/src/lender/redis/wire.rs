//! Messages as the scripts read and write them: words separated by blanks, amounts as decimal text.

use std::fmt::Write as _;

use smartflow_store::redis::{Value, from_redis_value};

use super::{LenderError, RedisOptions, admin::Stands};
use crate::{
    account::{AccountId, Incarnation, PodId, Revision},
    book::{Folded, Page, Row, Standing},
    message::{Answers, Batch, MoneyAnswer, MoneyAsk, Recalls, Totals, WindowState},
    rate::{RateAnswer, RateAsk, Units},
    window::Window,
};

const MICROS: u64 = 1_000;
/// Only with the recalls of this point on are they wanted; the rates' desk asks for none.
const NO_RECALLS: u64 = u64::MAX;

/// What an answer says of the server.
pub(super) struct Status {
    pub(super) replicas: u64,
    pub(super) unprotected: bool,
}

/// What an exchange says besides its messages.
pub(super) struct Said {
    /// To which generation this pod has said all it knows.
    pub(super) told: u64,
    /// The last generation that was heard here.
    pub(super) known: u64,
    /// What a look at the server found, where there was one.
    pub(super) well: Option<bool>,
}

/// The arguments of an exchange.
pub(super) fn exchange(batch: &Batch, options: RedisOptions, said: &Said) -> Vec<String> {
    let after =
        if batch.recalls_after == NO_RECALLS { "-".to_owned() } else { batch.recalls_after.to_string() };
    let head = format!(
        "{} {} {after} {} {} {} {} {}",
        batch.incarnation,
        batch.pod,
        options.lease_millis,
        u8::from(options.allow_unreplicated),
        said.told,
        said.known,
        match said.well {
            None => "-",
            Some(true) => "well",
            Some(false) => "evicting",
        }
    );
    let money = batch.money.iter().map(money_line);
    std::iter::once(head).chain(money).chain(batch.rates.iter().map(rate_line)).collect()
}

fn money_line(ask: &MoneyAsk) -> String {
    let Totals { granted, spent, returned, overrun } = ask.totals;
    let (at_least, background) = match ask.lend {
        Some(lend) => (lend.at_least.to_string(), u8::from(lend.background)),
        None => ("-".to_owned(), 0),
    };
    let limit = match ask.limit {
        Some((limit, age)) => format!("{limit} {} {}", age.epoch, age.number),
        None => "- 0 0".to_owned(),
    };
    format!(
        "m {} {} {} {} {} {} {granted} {spent} {returned} {overrun} {} {at_least} {background} {limit} {} {} {}",
        ask.account,
        ask.window.start,
        ask.window.end,
        ask.incarnation,
        ask.pod,
        ask.number,
        ask.reservation,
        u8::from(ask.close),
        ask.closed_total,
        u8::from(ask.counted)
    )
}

fn rate_line(ask: &RateAsk) -> String {
    let limit = |limit: Option<std::num::NonZeroU32>| limit.map_or(0, std::num::NonZeroU32::get);
    let (requests, tokens, permits) = (ask.requests, ask.tokens, ask.permits);
    let mut line = format!(
        "r {} {} {} {} {} {} {} {} {} {} {}",
        ask.account,
        ask.incarnation,
        ask.number,
        ask.generation,
        limit(ask.limits.requests),
        limit(ask.limits.tokens),
        limit(ask.limits.parallel),
        ask.revision.epoch,
        ask.revision.number,
        u8::from(ask.ahead),
        ask.answered
    );
    for count in [
        requests.least,
        requests.need,
        requests.want,
        tokens.least,
        tokens.need,
        tokens.want,
        permits.hold,
        permits.need,
        permits.want,
    ] {
        let _ = write!(line, " {count}");
    }
    for slot in &ask.slots {
        let _ = write!(
            line,
            " {} {} {} {} {}",
            slot.slot, slot.requests_back, slot.tokens_back, slot.requests_over, slot.tokens_over
        );
    }
    line
}

/// The exchange script found no ledger.
pub(super) fn is_missing(values: &[Value]) -> bool {
    matches!(values, [Value::BulkString(head)] if head == b"none")
}

/// Reads what the exchange script answered.
pub(super) fn answers(batch: &Batch, values: Vec<Value>) -> Result<(Answers, Status), LenderError> {
    let mut values = values.into_iter();
    let head = line(values.next())?;
    let mut words = Words::of(&head);
    let (generation, recovering, wall) = (words.number()?, words.flag()?, words.number()?);
    let (fleet, local_micros, replicas, unprotected) =
        (words.number()?, words.number::<u64>()?, words.number()?, words.flag()?);
    let entries = match values.next() {
        Some(Value::Array(entries)) => entries,
        Some(Value::Nil) | None => Vec::new(),
        Some(_) => return Err(garbled()),
    };
    let after = if batch.recalls_after == NO_RECALLS { 0 } else { batch.recalls_after };
    let recalls = recalls(entries, batch.incarnation, after)?;
    let mut money = Vec::with_capacity(batch.money.len());
    for ask in &batch.money {
        money.push(money_answer(ask, &line(values.next())?)?);
    }
    let mut rates = Vec::with_capacity(batch.rates.len());
    for ask in &batch.rates {
        let read = rate_answer(ask, &line(values.next())?)?;
        rates.push(RateAnswer { generation, fleet, local_for: local_micros * MICROS, ..read });
    }
    Ok((Answers { generation, recovering, wall, money, rates, recalls }, Status { replicas, unprotected }))
}

fn money_answer(ask: &MoneyAsk, text: &str) -> Result<MoneyAnswer, LenderError> {
    let mut words = Words::of(text);
    let state = words.word()?;
    let (granted, tight, short, size, lendable) =
        (words.amount()?, words.flag()?, words.flag()?, words.amount()?, words.amount()?);
    let (spent, leased_elsewhere, forfeited, closed_total, limit, closed) =
        (words.amount()?, words.amount()?, words.amount()?, words.amount()?, words.amount()?, words.flag()?);
    let state = match state {
        "O" => WindowState::Open,
        "E" => WindowState::Early,
        "N" => WindowState::Ended,
        "V" => WindowState::Overlaps(Window { start: words.number()?, end: words.number()? }),
        _ => return Err(garbled()),
    };
    Ok(MoneyAnswer {
        account: ask.account,
        window: ask.window,
        state,
        granted,
        tight,
        short,
        size,
        lendable,
        spent,
        leased_elsewhere,
        forfeited,
        closed_total,
        limit,
        closed,
    })
}

fn rate_answer(ask: &RateAsk, text: &str) -> Result<RateAnswer, LenderError> {
    let mut words = Words::of(text);
    let (repeated, slot, left) = (words.flag()?, words.number()?, words.number::<u64>()? * MICROS);
    let (requests, tokens) = (words.units()?, words.units()?);
    let (permits, tight, pods) = (words.number()?, words.flag()?, words.number()?);
    let (account, number) = (ask.account, ask.number);
    Ok(RateAnswer {
        account,
        number,
        generation: 0,
        repeated,
        slot,
        left,
        requests,
        tokens,
        permits,
        tight,
        pods,
        fleet: 1,
        local_for: 0,
    })
}

/// Entries of the recall stream, each account once, without those of the reader itself.
pub(super) fn recalls(
    entries: impl IntoIterator<Item = Value>,
    reader: Incarnation,
    after: u64,
) -> Result<Recalls, LenderError> {
    let mut recalls = Recalls { upto: after, accounts: Vec::new() };
    for entry in entries {
        let (number, fields): (String, Vec<String>) = from_redis_value(entry).map_err(|_| garbled())?;
        let number = number.split('-').next().and_then(|n| n.parse().ok()).ok_or_else(garbled)?;
        recalls.upto = recalls.upto.max(number);
        let [_, account, _, short] = fields.as_slice() else { return Err(garbled()) };
        let (Some(account), Some(short)) = (id(account), id(short)) else { return Err(garbled()) };
        let found = (AccountId(account), Incarnation(short));
        if found.1 != reader && !recalls.accounts.contains(&found) {
            recalls.accounts.push(found);
        }
    }
    Ok(recalls)
}

/// An account out of the fields of its hash: its limit, and windows of which nothing is read yet.
pub(super) fn head(account: AccountId, value: Value) -> Stands {
    let fields: Vec<(String, String)> = from_redis_value(value).unwrap_or_default();
    let field = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, text)| text.as_str());
    let number = |name: &str| field(name).and_then(|text| text.parse().ok());
    let limit = field("limit").and_then(|text| text.parse().ok());
    let age = Revision { epoch: number("epoch").unwrap_or(0), number: number("number").unwrap_or(0) };
    let mut windows: Vec<Window> = fields.iter().filter_map(|(field, _)| window(field)).collect();
    windows.sort();
    let unread = |window| standing(window, 0, &[]);
    Stands {
        account,
        limit: limit.map(|limit| (limit, age)),
        windows: windows.into_iter().filter_map(unread).collect(),
    }
}

/// A page out of its hash; none when there is none.
pub(super) fn page(window: Window, limit: i64, value: Value) -> Option<Standing> {
    let fields: Vec<(String, String)> = from_redis_value(value).ok()?;
    if fields.is_empty() { None } else { standing(window, limit, &fields) }
}

/// A page out of the fields of its hash.
pub(super) fn standing(window: Window, limit: i64, fields: &[(String, String)]) -> Option<Standing> {
    let mut page = Page::new(window);
    for (field, text) in fields {
        let mut words = Words::of(text);
        if field == "F" {
            page.folded = Folded {
                spent: words.amount().ok()?,
                forfeited: words.amount().ok()?,
                overrun: words.amount().ok()?,
                written_off: words.amount().ok()?,
                lost: words.amount().ok()?,
            };
        } else if field != "T" {
            // T: sums of the rows, for the scripts.
            page.rows.push(row(Incarnation(id(field)?), &mut words).ok()?);
        }
    }
    Some(Standing {
        window,
        limit,
        spent: page.spent(),
        leased: page.leased(),
        forfeited: page.forfeited(),
        closed_total: page.closed_total(),
        rows: page.rows,
    })
}

fn row(incarnation: Incarnation, words: &mut Words<'_>) -> Result<Row, LenderError> {
    let pod = PodId(id(words.word()?).ok_or_else(garbled)?);
    let number = words.number()?;
    let closed = match words.word()? {
        "-" => None,
        at => Some(at.parse().map_err(|_| garbled())?),
    };
    let written_off = words.amount()?;
    let (granted, spent) = (words.amount()?, words.amount()?);
    let (returned, overrun) = (words.amount()?, words.amount()?);
    let totals = Totals { granted, spent, returned, overrun };
    Ok(Row { incarnation, pod, totals, number, closed, written_off, seen: None })
}

/// A row as the scripts keep it.
pub(super) fn row_line(row: &Row) -> String {
    let Totals { granted, spent, returned, overrun } = row.totals;
    let closed = row.closed.map_or_else(|| "-".to_owned(), |at| at.to_string());
    format!(
        "{} {} {closed} {} {granted} {spent} {returned} {overrun} -",
        row.pod, row.number, row.written_off
    )
}

/// The window of a field `w:<start>:<end>`.
pub(super) fn window(field: &str) -> Option<Window> {
    let (start, end) = field.strip_prefix("w:")?.split_once(':')?;
    Some(Window { start: start.parse().ok()?, end: end.parse().ok()? })
}

/// 128 bits in hex.
pub(super) fn id(text: &str) -> Option<u128> {
    u128::from_str_radix(text, 16).ok()
}

/// An amount as decimal text.
pub(super) fn amount(text: &str) -> Result<i64, LenderError> {
    text.parse().map_err(|_| garbled())
}

fn line(value: Option<Value>) -> Result<String, LenderError> {
    value.and_then(|value| from_redis_value(value).ok()).ok_or_else(garbled)
}

fn garbled() -> LenderError {
    LenderError::Away("the ledger's script answered something unexpected".to_owned())
}

/// Words of a line, one after the other.
struct Words<'a>(std::str::SplitAsciiWhitespace<'a>);

impl<'a> Words<'a> {
    fn of(text: &'a str) -> Self {
        Self(text.split_ascii_whitespace())
    }

    fn word(&mut self) -> Result<&'a str, LenderError> {
        self.0.next().ok_or_else(garbled)
    }

    fn number<T: std::str::FromStr>(&mut self) -> Result<T, LenderError> {
        self.word()?.parse().map_err(|_| garbled())
    }

    fn amount(&mut self) -> Result<i64, LenderError> {
        self.number()
    }

    fn flag(&mut self) -> Result<bool, LenderError> {
        Ok(self.word()? == "1")
    }

    fn units(&mut self) -> Result<Units, LenderError> {
        let (granted, free) = (self.number()?, self.number()?);
        let (wait, reset) = (self.number::<u64>()? * MICROS, self.number::<u64>()? * MICROS);
        Ok(Units { granted, free, wait, reset })
    }
}
