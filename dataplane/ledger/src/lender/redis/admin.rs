//! What the operator does with the ledger (L14, L14a): it makes it, reads what moved, and puts back what was lost.

use std::time::Duration;

use smartflow_store::redis::{Redis, Value, cmd, pipe};

use super::{LenderError, RedisLender, away, wire};
use crate::{
    account::{AccountId, Incarnation, PodId, Revision},
    book::{Row, Standing},
    message::{Batch, MoneyAsk},
    window::Window,
};

/// Above every number of the closed one; exact in a double, in which the scripts compare.
const LAST_WORD: u64 = (1 << 53) - 1;

/// How an empty ledger is made.
#[derive(Clone, Debug, Default)]
pub struct Creation {
    /// More than the last generation known, 0 where none is; the server's clock, in unix milliseconds, if that is more.
    pub generation: u64,
    /// There was a ledger before: nothing is lent until the `pods` have reported, or one lease has passed.
    pub lost: bool,
    /// Pods that may hold money.
    pub pods: Vec<PodId>,
}

/// Accounts of which something changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Which.
    pub accounts: Vec<AccountId>,
    /// Up to which instant of the ledger's clock, unix milliseconds; ask from here the next time.
    pub upto: i64,
}

/// One window of an account as it was before the ledger lost it.
#[derive(Clone, Debug)]
pub struct PutBack {
    /// Which account.
    pub account: AccountId,
    /// Which window.
    pub window: Window,
    /// The greatest C known: from the status, or the last reading.
    pub closed_total: i64,
    /// The limit and its age, for an account that no pod has spoken of yet.
    pub limit: Option<(i64, Revision)>,
    /// The rows as last read.
    pub rows: Vec<Row>,
}

/// An account as it stands, with all that [`PutBack`] needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stands {
    /// Which.
    pub account: AccountId,
    /// The limit that the ledger keeps, and its age.
    pub limit: Option<(i64, Revision)>,
    /// Windows that are kept, oldest first. None: there is no such account.
    pub windows: Vec<Standing>,
}

impl RedisLender {
    /// Makes an empty ledger where there is none; its generation, or none when there was one already.
    ///
    /// # Errors
    /// Redis did not answer.
    pub async fn create(&self, creation: &Creation) -> Result<Option<u64>, LenderError> {
        let mut args = vec![
            creation.generation.to_string(),
            self.options.lease_millis.to_string(),
            u8::from(creation.lost).to_string(),
        ];
        args.extend(creation.pods.iter().map(PodId::to_string));
        let made: String =
            self.redis.script(&self.scripts.create, &[self.base()], &args).await.map_err(away)?;
        Ok(made.parse().ok().filter(|generation| *generation > 0))
    }

    /// Whether there is a ledger, and its generation.
    ///
    /// # Errors
    /// Redis did not answer.
    pub async fn generation(&self) -> Result<Option<u64>, LenderError> {
        let meta = format!("{}:meta", self.base());
        self.redis.run(cmd("HGET").arg(meta).arg("generation")).await.map_err(away)
    }

    /// Accounts that changed at or after `since` (unix milliseconds of the ledger's clock): those whose status is due.
    ///
    /// # Errors
    /// Redis did not answer.
    pub async fn moved(&self, since: i64) -> Result<Moved, LenderError> {
        let mut read = cmd("ZRANGE");
        read.arg(format!("{}:moved", self.base())).arg(since).arg("+inf").arg("BYSCORE").arg("WITHSCORES");
        let found: Vec<(String, f64)> = self.redis.run(&read).await.map_err(away)?;
        // A score is milliseconds since 1970: exact in a double.
        #[allow(clippy::cast_possible_truncation)]
        let upto = found.iter().map(|(_, at)| *at as i64).max().unwrap_or(since);
        let accounts = found.iter().filter_map(|(id, _)| wire::id(id).map(AccountId)).collect();
        Ok(Moved { accounts, upto })
    }

    /// These accounts as they stand, in two round trips.
    ///
    /// # Errors
    /// Redis did not answer.
    pub async fn read(&self, accounts: &[AccountId]) -> Result<Vec<Stands>, LenderError> {
        if accounts.is_empty() {
            return Ok(Vec::new());
        }
        let base = self.base();
        let mut heads = pipe();
        for account in accounts {
            heads.cmd("HGETALL").arg(format!("{base}:a:{account}"));
        }
        let heads = self.redis.pipeline(&heads).await.map_err(away)?;
        let mut all: Vec<Stands> =
            accounts.iter().zip(heads).map(|(id, head)| wire::head(*id, head)).collect();
        let mut pages = pipe();
        let mut wanted = 0;
        for stands in &all {
            for Standing { window, .. } in &stands.windows {
                pages
                    .cmd("HGETALL")
                    .arg(format!("{base}:w:{}:{}:{}", stands.account, window.start, window.end));
                wanted += 1;
            }
        }
        if wanted == 0 {
            return Ok(all);
        }
        let mut pages = self.redis.pipeline(&pages).await.map_err(away)?.into_iter();
        for stands in &mut all {
            let limit = stands.limit.map_or(0, |(limit, _)| limit);
            let asked = std::mem::take(&mut stands.windows);
            // A page that has expired since leaves nothing.
            stands.windows =
                asked.into_iter().filter_map(|s| wire::page(s.window, limit, pages.next()?)).collect();
        }
        Ok(all)
    }

    /// For how long each pod was not heard, by the ledger's clock; pods that were never heard are left out.
    ///
    /// # Errors
    /// Redis did not answer.
    pub async fn silences(&self) -> Result<Vec<(PodId, Duration)>, LenderError> {
        let base = self.base();
        let mut all = pipe();
        all.cmd("TIME");
        all.cmd("HGET").arg(format!("{base}:meta")).arg("shift");
        all.cmd("ZRANGE").arg(format!("{base}:fleet")).arg(0).arg(-1).arg("WITHSCORES");
        let mut answers = self.redis.pipeline(&all).await.map_err(away)?.into_iter();
        let mut next = || answers.next().unwrap_or(Value::Nil);
        let (seconds, micros): (i64, i64) = Redis::answer(next()).map_err(away)?;
        let shift: Option<i64> = Redis::answer(next()).map_err(away)?;
        let heard: Vec<(String, f64)> = Redis::answer(next()).map_err(away)?;
        let now = (seconds * 1_000_000 + micros + shift.unwrap_or(0)) / 1_000;
        let silent = |(pod, at): (String, f64)| {
            // A score is milliseconds since 1970: exact in a double.
            #[allow(clippy::cast_possible_truncation)]
            let millis = u64::try_from(now - at as i64).unwrap_or(0);
            Some((PodId(wire::id(&pod)?), Duration::from_millis(millis)))
        };
        Ok(heard.into_iter().filter_map(silent).collect())
    }

    /// Closes an incarnation whose pod is gone from the API (L5a): what it held is forfeited at once. `row` as last read.
    ///
    /// # Errors
    /// Redis did not answer.
    pub async fn close(&self, account: AccountId, window: Window, row: &Row) -> Result<(), LenderError> {
        let ask = MoneyAsk {
            account,
            window,
            incarnation: row.incarnation,
            pod: row.pod,
            number: LAST_WORD,
            totals: row.totals,
            reservation: 0,
            lend: None,
            limit: None,
            close: true,
            closed_total: 0,
            counted: false,
        };
        let batch = Batch {
            incarnation: Incarnation(0),
            pod: PodId(0),
            recalls_after: u64::MAX,
            money: vec![ask],
            rates: Vec::new(),
        };
        self.ask(&batch).await.map(|_| ())
    }

    /// A pod that has closed all its incarnations, or whose were closed, is not waited for when data is lost (L14), and
    /// does not count in the fleet.
    ///
    /// # Errors
    /// Redis did not answer.
    pub async fn leave(&self, pod: PodId) -> Result<(), LenderError> {
        let base = self.base();
        let mut both = pipe();
        both.cmd("ZREM").arg(format!("{base}:fleet")).arg(pod.to_string());
        both.cmd("SREM").arg(format!("{base}:awaited")).arg(pod.to_string());
        self.redis.pipeline(&both).await.map_err(away)?;
        Ok(())
    }

    /// Puts back a window as it was last read; rows that a pod has reported since stay as they are. Answers how many
    /// rows were put back.
    ///
    /// # Errors
    /// Redis did not answer, or there is no ledger.
    pub async fn put_back(&self, back: &PutBack) -> Result<usize, LenderError> {
        let mut args = vec![
            back.account.to_string(),
            format!("{}:{}", back.window.start, back.window.end),
            back.closed_total.to_string(),
            back.limit.map_or_else(
                || "-".to_owned(),
                |(limit, age)| format!("{limit} {} {}", age.epoch, age.number),
            ),
        ];
        for row in &back.rows {
            args.extend([row.incarnation.to_string(), wire::row_line(row)]);
        }
        let count: i64 =
            self.redis.script(&self.scripts.put_back, &[self.base()], &args).await.map_err(away)?;
        usize::try_from(count).map_err(|_| LenderError::Away("there is no ledger".to_owned()))
    }
}
