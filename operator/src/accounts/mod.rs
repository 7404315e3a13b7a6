//! The ledger in Redis, as far as it is the operator's: it makes it, reads what moved each second for the statuses, and
//! puts back what was lost (ledger.md L14). Only the replica that has the Lease does so.
//!
//! What was read is believed only when the ledger is the same one before and after: one that lost its data shows less than
//! was spent, and must not be shown.

mod index;
mod kept;
mod pods;

pub use index::{Index, Owned};
pub use kept::Kept;
pub use pods::Pods;

use crate::events::Reason;
use crate::lease::{self, LeaseError, Term};
use crate::spend::Figures;
use kube_client::Client;
use serde_json::Value;
use smartflow_ledger::AccountId;
use smartflow_ledger::lender::LenderError;
use smartflow_ledger::lender::redis::{Creation, PutBack, RedisLender};
use smartflow_ledger::money::parse_usd;
use smartflow_snapshot::{Key, ObjectName, Shards};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

/// How often is looked what moved.
const EACH: Duration = Duration::from_secs(1);
/// Accounts that are read at once.
const CHUNK: usize = 256;

/// What the accounts are told.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// This replica writes, and every kind was listed.
    pub term: Option<Term>,
    /// All keys.
    pub keys: Shards<ObjectName, Arc<Key>>,
    /// What statuses said when the term began.
    pub statuses: Arc<[Shown]>,
}

/// What the status of a key says of gateways that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Whose.
    pub key: ObjectName,
    /// `closedUSD` in nano-USD.
    pub closed: i64,
    /// `resetsAt`, Unix milliseconds.
    pub resets_at: Option<i64>,
}

impl Shown {
    /// Out of a status; `None` when it says nothing of the kind.
    #[must_use]
    pub fn of(key: &ObjectName, status: &Value) -> Option<Self> {
        let text = |field: &str| status.get(field).and_then(Value::as_str);
        let closed = text("closedUSD").and_then(parse_usd)?;
        let resets_at = text("resetsAt").and_then(|at| at.parse::<jiff::Timestamp>().ok());
        Some(Self { key: key.clone(), closed, resets_at: resets_at.map(jiff::Timestamp::as_millisecond) })
    }
}

/// What the accounts tell.
#[derive(Debug)]
pub enum News {
    /// What keys have spent, as far as it may have changed.
    Spent(Vec<(ObjectName, Figures)>),
    /// Something that people should look at.
    Event(Reason, String),
}

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// Redis or the ledger.
    #[error(transparent)]
    Ledger(#[from] LenderError),
    /// The Lease, in which is noted that there is a ledger.
    #[error("it could not be noted that there is a ledger: {0}")]
    Lease(#[from] LeaseError),
    /// The ledger was lost while it was read.
    #[error("the ledger was lost while it was read")]
    Lost,
}

/// Reads and keeps.
pub struct Accounts {
    client: Client,
    lender: RedisLender,
    lease: lease::Settings,
    told: Told,
    index: Index,
    kept: Kept,
    pods: Pods,
    /// How long gateways spend what they hold without a word.
    patience: Duration,
    /// The ledger that was read last.
    generation: Option<u64>,
    /// Whether there was a ledger before the one that is to be made.
    lost: Option<bool>,
    /// What moved up to here was read.
    upto: i64,
    /// Accounts to be read although they did not move.
    unread: BTreeSet<AccountId>,
    /// The last attempt failed, and that was said.
    failing: bool,
}

impl Accounts {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(client: Client, lender: RedisLender, lease: lease::Settings, patience: Duration) -> Self {
        Self {
            pods: Pods::new(client.clone(), &lease.namespace),
            patience,
            client,
            lender,
            lease,
            told: Told::default(),
            index: Index::default(),
            kept: Kept::default(),
            generation: None,
            lost: None,
            upto: 0,
            unread: BTreeSet::new(),
            failing: false,
        }
    }

    /// Reads each second, and as soon as keys are others, until nobody tells or listens any more.
    pub async fn run(mut self, mut told: watch::Receiver<Told>, news: mpsc::Sender<News>) {
        let mut each = tokio::time::interval(EACH);
        each.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = each.tick() => {}
                changed = told.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let now = told.borrow_and_update().clone();
                    self.hear(now);
                    if self.unread.is_empty() {
                        continue;
                    }
                }
            }
            let all = match self.turn().await {
                Ok(all) => all,
                Err(error) => {
                    if !std::mem::replace(&mut self.failing, true) {
                        tracing::warn!(%error, "the ledger was not read: what statuses say of spend stays as it is");
                    }
                    continue;
                }
            };
            self.failing = false;
            for one in all {
                if news.send(one).await.is_err() {
                    return;
                }
            }
        }
    }

    /// Whoever begins to lead knows nothing: others may have written meanwhile.
    fn hear(&mut self, told: Told) {
        let number = |told: &Told| told.term.map(|term| term.number);
        if number(&told) != number(&self.told) {
            (self.index, self.kept) = (Index::default(), Kept::default());
            (self.generation, self.lost, self.upto) = (None, None, 0);
            self.unread.clear();
        }
        if told.term.is_some() {
            self.unread.extend(self.index.follow(&told.keys));
        }
        self.told = told;
    }

    async fn turn(&mut self) -> Result<Vec<News>, AccountsError> {
        let Some(term) = self.told.term.filter(|term| term.left(Instant::now()).is_some()) else {
            return Ok(Vec::new());
        };
        let mut news = Vec::new();
        let generation = match self.lender.generation().await? {
            Some(generation) => generation,
            None => self.make(term).await?,
        };
        let (first, changed) = (self.generation.is_none(), self.generation != Some(generation));
        if changed && !first {
            let wall = now();
            let rows = self.put_back(self.kept.put_backs(wall)).await?;
            tracing::warn!(generation, rows, "the ledger is another one: what was read of it was put back");
            let message = format!(
                "The ledger in Redis lost its data: {rows} rows were put back from this replica's copy."
            );
            news.push(News::Event(Reason::LedgerRestored, message));
        }
        if changed {
            // Its clock may be another one, too.
            self.upto = 0;
            self.unread.extend(self.index.accounts());
        }
        let read = self.read(generation).await?;
        self.generation = Some(generation);
        let wall = now();
        let mut spent: Vec<(ObjectName, Figures)> = Vec::new();
        let mut look: BTreeSet<AccountId> = self.index.ended(wall).into_iter().collect();
        look.extend(read);
        for account in look {
            spent.extend(self.index.figures(account, self.kept.windows(account), wall));
        }
        if first && self.restore(wall).await? > 0 {
            // What statuses knew counts now: the next turn shows it.
            self.unread.extend(self.index.accounts());
            return Ok(news);
        }
        if !spent.is_empty() {
            news.push(News::Spent(spent));
        }
        if self.pods.look().await {
            self.close_gone().await?;
        }
        Ok(news)
    }

    /// Closes what pods that are gone held: it is forfeited, shown, and can be written off.
    async fn close_gone(&self) -> Result<(), AccountsError> {
        let holders = self.kept.pods();
        for (pod, silent) in self.lender.silences().await? {
            if !holders.contains(&pod) || !self.pods.is_gone(pod, silent, self.patience) {
                continue;
            }
            let rows = self.kept.rows_of(pod);
            for (account, window, row) in &rows {
                self.lender.close(*account, *window, row).await?;
            }
            self.lender.leave(pod).await?;
            tracing::warn!(%pod, rows = rows.len(), "a gateway is gone: what it held is forfeited");
        }
        Ok(())
    }

    /// Makes a ledger where there is none. That is noted before, so that no later replica takes one that was lost for one
    /// that never was: that would lend at once what others hold.
    async fn make(&mut self, term: Term) -> Result<u64, AccountsError> {
        let noted = lease::noted(&self.client, &self.lease, lease::LEDGER).await?;
        let spent = self.told.statuses.iter().any(|shown| shown.closed > 0);
        let lost = *self.lost.get_or_insert(noted.is_some() || self.generation.is_some() || spent);
        let known = self.generation.unwrap_or_default().max(noted.and_then(|g| g.parse().ok()).unwrap_or(0));
        let generation = (known + 1).max(u64::try_from(now()).unwrap_or(1));
        lease::note(&self.client, &self.lease, term, lease::LEDGER, &generation.to_string()).await?;
        let creation = Creation { generation, lost, pods: self.kept.pods().into_iter().collect() };
        let made = self.lender.create(&creation).await?;
        self.lost = None;
        tracing::warn!(generation, lost, "there was no ledger in Redis: made one");
        match made {
            Some(made) => Ok(made),
            None => self.lender.generation().await?.ok_or(AccountsError::Lost),
        }
    }

    async fn put_back(&self, all: Vec<PutBack>) -> Result<usize, AccountsError> {
        let mut rows = 0;
        for back in all {
            rows += self.lender.put_back(&back).await?;
        }
        Ok(rows)
    }

    /// What statuses know and the ledger does not: it lost it before this replica began.
    async fn restore(&self, wall: i64) -> Result<usize, AccountsError> {
        let mut backs = Vec::new();
        for shown in self.told.statuses.iter().filter(|shown| shown.closed > 0) {
            let Some(owned) = self.index.of_key(&shown.key) else { continue };
            let window = owned.window(shown.resets_at);
            let kept = self.kept.windows(owned.account).iter().find(|s| s.window == window);
            let known = kept.map_or(0, |s| s.closed_total);
            if window.end > wall && known < shown.closed {
                let (account, closed_total) = (owned.account, shown.closed);
                backs.push(PutBack { account, window, closed_total, limit: None, rows: Vec::new() });
            }
        }
        let count = backs.len();
        self.put_back(backs).await?;
        Ok(count)
    }

    /// Reads what moved, and what is to be read beside; returns which accounts these are.
    async fn read(&mut self, generation: u64) -> Result<BTreeSet<AccountId>, AccountsError> {
        let moved = self.lender.moved(self.upto).await?;
        let mut accounts: BTreeSet<AccountId> = moved.accounts.into_iter().collect();
        accounts.extend(&self.unread);
        let all: Vec<AccountId> = accounts.iter().copied().collect();
        let mut found = Vec::with_capacity(all.len());
        for chunk in all.chunks(CHUNK) {
            found.extend(self.lender.read(chunk).await?);
        }
        if self.lender.generation().await? != Some(generation) {
            return Err(AccountsError::Lost);
        }
        let wall = now();
        found.into_iter().for_each(|stands| self.kept.take(stands, wall));
        self.upto = moved.upto;
        self.unread.clear();
        Ok(accounts)
    }
}

/// Milliseconds of Unix time.
fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
