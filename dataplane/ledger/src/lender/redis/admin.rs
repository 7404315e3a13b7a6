//! What the operator does with the ledger (L14, L14a): it makes it, reads what moved, and puts back what was lost.

use smartflow_store::redis::cmd;

use super::{LenderError, RedisLender, away, wire};
use crate::{
    account::{AccountId, PodId, Revision},
    book::Row,
    window::Window,
};

/// How an empty ledger is made.
#[derive(Clone, Debug, Default)]
pub struct Creation {
    /// Above every generation that any pod may know: unix milliseconds, and more than the last one known.
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
