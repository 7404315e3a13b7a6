//! The lender in Redis (L12): every pod of an install asks the same scripts, each atomic in the server.
//!
//! Exchanges go over a connection of their own, one after the other, because `WAIT` (L14a) concerns the connection that
//! carried the script; calls that wait meanwhile are in the next batch. Recalls are read blocking on another one.

mod admin;
mod guard;
mod scripts;
mod wire;

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use smartflow_store::redis::{Dedicated, Error, Redis, State, Value, cmd};
use tokio::sync::Mutex;

pub use self::{
    admin::{Creation, Moved, PutBack, Stands},
    guard::Unsafe,
};
use self::{guard::Guard, scripts::Scripts};
use super::{Lender, LenderError, Pending};
use crate::{
    account::{AccountId, Incarnation},
    book::{Standing, WriteOffError},
    clock::Now,
    message::{Answers, Batch, Recalls},
    window::Window,
};

/// How long `WAIT` waits for a replica.
const REPLICA: Duration = Duration::from_millis(500);
/// How long a read of the recall stream blocks.
const RECALLS: Duration = Duration::from_secs(2);

/// How a pod uses the lender.
#[derive(Clone, Copy, Debug)]
pub struct RedisOptions {
    /// How long a pod may spend without hearing from the lender, milliseconds; also how long a ledger that lost data
    /// waits for pods that do not report (L14).
    pub lease_millis: u64,
    /// Lend also when a failover left no replica (L14a).
    pub allow_unreplicated: bool,
}

/// How the lender is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// The last exchange was not answered, or none was tried yet: pods spend what they hold (L13).
    pub away: bool,
    /// The ledger lost data and lends nothing until pods have reported (L14).
    pub recovering: bool,
    /// It has had replicas and has none now: a failover could forget grants (L14a).
    pub unprotected: bool,
    /// Why the server must not keep a ledger; nothing is lent (L14a).
    pub stopped: Option<Unsafe>,
}

/// Money and rates lent by scripts in Redis.
pub struct RedisLender {
    redis: Redis,
    scripts: Scripts,
    options: RedisOptions,
    guard: Guard,
    exchanges: Mutex<Option<Dedicated>>,
    recalls: Mutex<Option<Dedicated>>,
    /// To which generation this pod has said all it knows (L14); 0 = none.
    told: AtomicU64,
    /// The last generation that this pod heard; 0 = none.
    heard: AtomicU64,
    unprotected: AtomicBool,
    recovering: AtomicBool,
    away: AtomicBool,
    missing: AtomicBool,
}

impl RedisLender {
    /// A lender behind a connection. Nothing is asked yet.
    #[must_use]
    pub fn new(redis: Redis, options: RedisOptions) -> Self {
        Self::with_scripts(redis, options, Scripts::default())
    }

    pub(crate) fn with_scripts(redis: Redis, options: RedisOptions, scripts: Scripts) -> Self {
        Self {
            redis,
            scripts,
            options,
            guard: Guard::default(),
            exchanges: Mutex::default(),
            recalls: Mutex::default(),
            told: AtomicU64::new(0),
            heard: AtomicU64::new(0),
            unprotected: AtomicBool::new(false),
            recovering: AtomicBool::new(false),
            away: AtomicBool::new(true),
            missing: AtomicBool::new(false),
        }
    }

    /// All that this pod knows was acknowledged in this generation of the ledger: one that lost data waits for that
    /// (L14), and learns it with the next exchange.
    pub fn has_told_all(&self, generation: u64) {
        self.told.store(generation, Ordering::Relaxed);
    }

    /// This pod knows a ledger of this generation, also by an earlier process: one that knows nothing of it is told so and
    /// lends nothing until everybody has reported (L14).
    pub fn has_heard(&self, generation: u64) {
        self.heard.fetch_max(generation, Ordering::Relaxed);
    }

    /// The generation of the last [`RedisLender::has_told_all`].
    #[must_use]
    pub fn told_all(&self) -> u64 {
        self.told.load(Ordering::Relaxed)
    }

    /// When last asked, Redis held no ledger: the operator has to make one.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.missing.load(Ordering::Relaxed)
    }

    /// Nobody knows how the server is that would answer now: the last exchange failed, or was with another one.
    #[must_use]
    pub fn has_news(&self) -> bool {
        let State::Up(server) = self.redis.state() else { return false };
        let another =
            |kept: &Option<Dedicated>| kept.as_ref().is_none_or(|k| k.server().run_id != server.run_id);
        self.away.load(Ordering::Relaxed) || self.exchanges.try_lock().is_ok_and(|kept| another(&kept))
    }

    /// How it is doing, by its last answers.
    #[must_use]
    pub fn health(&self) -> Health {
        Health {
            away: self.away.load(Ordering::Relaxed),
            recovering: self.recovering.load(Ordering::Relaxed),
            unprotected: self.unprotected.load(Ordering::Relaxed),
            stopped: self.guard.last(),
        }
    }

    /// The first part of the ledger's keys. Its number is the version of the scripts and of what they keep.
    fn base(&self) -> String {
        self.redis.key("ledger:1")
    }

    async fn ask(&self, batch: &Batch) -> Result<Answers, LenderError> {
        let mut kept = self.exchanges.lock().await;
        // While the shared connection is not answered, this one would not be either: fail at once.
        let State::Up(server) = self.redis.state() else {
            *kept = None;
            return Err(away(
                self.redis.check().err().unwrap_or(Error::Unexpected("a moment without a server")),
            ));
        };
        let mut own = match kept.take() {
            Some(own) if own.server().run_id == server.run_id => own,
            _ => self.redis.dedicated().await.map_err(away)?,
        };
        let asked = self.run(&mut own, batch).await;
        let answers: Vec<Value> = match asked {
            Ok(answers) => answers,
            Err(fault) => {
                // A master that was demoted answers for ever, and on the shared connection nobody may notice.
                if fault.is_fatal() {
                    self.redis.suspect();
                } else if fault.code().is_some() {
                    *kept = Some(own);
                }
                return Err(away(fault));
            }
        };
        self.redis.praise();
        let missing = wire::is_missing(&answers);
        self.missing.store(missing, Ordering::Relaxed);
        if missing {
            *kept = Some(own);
            return Err(LenderError::Away("there is no ledger in Redis: the operator makes it".to_owned()));
        }
        self.guard.has_told(&own.server().run_id);
        let (answers, status) = wire::answers(batch, answers)?;
        self.has_heard(answers.generation);
        if status.replicas > 0 {
            // Before the answer is believed: a grant that only the master knows may be forgotten by a failover.
            let have = own.wait(1, REPLICA).await.map_err(away)?;
            if have == 0 {
                *kept = Some(own);
                return Err(LenderError::Away("no replica has confirmed the grant in time".to_owned()));
            }
        }
        self.unprotected.store(status.unprotected, Ordering::Relaxed);
        self.recovering.store(answers.recovering, Ordering::Relaxed);
        *kept = Some(own);
        Ok(answers)
    }

    async fn run(&self, own: &mut Dedicated, batch: &Batch) -> Result<Vec<Value>, Error> {
        let limit = self.redis.limit();
        let well = self.guard.look(own, limit).await?;
        let (told, known) = (self.told.load(Ordering::Relaxed), self.heard.load(Ordering::Relaxed));
        let args = wire::exchange(batch, self.options, &wire::Said { told, known, well });
        own.script(&self.scripts.exchange, &[self.base()], &args, limit).await
    }

    async fn read_recalls(&self, reader: Incarnation, after: u64) -> Result<Recalls, LenderError> {
        let mut kept = self.recalls.lock().await;
        let State::Up(server) = self.redis.state() else {
            *kept = None;
            return Err(away(
                self.redis.check().err().unwrap_or(Error::Unexpected("a moment without a server")),
            ));
        };
        let mut own = match kept.take() {
            // One that became a replica would block as before, and never say anything.
            Some(own) if own.server().run_id == server.run_id => own,
            _ => self.redis.dedicated().await.map_err(away)?,
        };
        let mut read = cmd("XREAD");
        read.arg("COUNT").arg(1024).arg("BLOCK").arg(u64::try_from(RECALLS.as_millis()).unwrap_or(u64::MAX));
        read.arg("STREAMS").arg(format!("{}:recall", self.base())).arg(format!("{after}-0"));
        let limit = RECALLS + self.redis.limit().max(Duration::from_secs(1));
        let streams: Option<Vec<(String, Vec<Value>)>> = own.run(&read, limit).await.map_err(away)?;
        *kept = Some(own);
        let entries = streams.into_iter().flatten().flat_map(|(_, entries)| entries);
        wire::recalls(entries, reader, after)
    }

    async fn all_standing(&self, account: AccountId) -> Result<Vec<Standing>, LenderError> {
        Ok(self.read(&[account]).await?.pop().map(|stands| stands.windows).unwrap_or_default())
    }

    async fn do_write_off(
        &self,
        account: AccountId,
        window: Window,
        who: Incarnation,
    ) -> Result<i64, LenderError> {
        let args = [account.to_string(), format!("{}:{}", window.start, window.end), who.to_string()];
        let freed: String =
            self.redis.script(&self.scripts.write_off, &[self.base()], &args).await.map_err(away)?;
        match freed.as_str() {
            "unknown" => Err(WriteOffError::Unknown(who).into()),
            "live" => Err(WriteOffError::Live(who).into()),
            amount => wire::amount(amount),
        }
    }

    async fn do_purge(&self, account: AccountId) -> Result<bool, LenderError> {
        let gone: i64 = self
            .redis
            .script(&self.scripts.purge, &[self.base()], &[account.to_string()])
            .await
            .map_err(away)?;
        Ok(gone == 1)
    }
}

impl Lender for RedisLender {
    fn exchange<'a>(&'a self, _now: Now, batch: &'a Batch) -> Pending<'a, Answers> {
        Box::pin(async move {
            let answered = self.ask(batch).await;
            self.away.store(answered.is_err(), Ordering::Relaxed);
            answered
        })
    }

    fn recalls(&self, reader: Incarnation, after: u64) -> Pending<'_, Recalls> {
        Box::pin(self.read_recalls(reader, after))
    }

    fn standing(&self, account: AccountId) -> Pending<'_, Vec<Standing>> {
        Box::pin(self.all_standing(account))
    }

    fn write_off(&self, account: AccountId, window: Window, who: Incarnation) -> Pending<'_, i64> {
        Box::pin(self.do_write_off(account, window, who))
    }

    fn purge(&self, account: AccountId) -> Pending<'_, bool> {
        Box::pin(self.do_purge(account))
    }

    fn is_local(&self) -> bool {
        false
    }
}

fn away(fault: Error) -> LenderError {
    LenderError::Away(fault.to_string())
}

#[cfg(test)]
mod loss_tests;
#[cfg(test)]
mod server_tests;
#[cfg(test)]
mod tests;
