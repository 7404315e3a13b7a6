//! Opening the purse: the data directory, what earlier processes left in it, and accounts.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
};

use super::{Account, Inner, Ledger, Options, exchange::Outbox, lock, mono_millis, predecessor::Predecessor};
use crate::{
    account::{AccountId, AccountSpec},
    clock::{LATE_REPORTS, MS, Now},
    lender::{self, Finding, Lender, lock_directory},
    spend_file::{DeadFile, SpendFile},
    window::{Calendar, UnknownTimeZone},
};

/// The ledger cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data directory is in use or cannot be written.
    #[error(transparent)]
    Directory(#[from] lender::OpenError),
    /// This incarnation's spend file cannot be made, or the directory cannot be read.
    #[error("{path}: {source}")]
    SpendFile {
        /// The file or directory.
        path: PathBuf,
        /// The fault below.
        source: std::io::Error,
    },
}

impl Ledger {
    /// Opens the purse of this process. With a local lender, what earlier processes on the same data directory spent is
    /// reported before this returns; with a remote one it is in the outbox.
    ///
    /// # Errors
    /// The data directory is in use by another process, or cannot be read or written.
    pub fn open(options: Options, lender: Arc<dyn Lender>, now: Now) -> Result<Self, OpenError> {
        let dir = options.data_dir.clone();
        let file = lock_directory(&dir, "purse.lock")?;
        let fault = |source| OpenError::SpendFile { path: dir.clone(), source };
        let (dead, findings) = dead_files(&dir, now.wall).map_err(fault)?;
        let spend = SpendFile::create(&dir, options.incarnation, options.pod).map_err(fault)?;
        let local = lender.is_local();
        let lease = options.lease_millis.saturating_mul(MS);
        let deadline = if local { u64::MAX } else { now.mono.saturating_add(lease) };
        let inner = Inner {
            lender,
            local,
            shards: Default::default(),
            spend: Mutex::new(spend),
            predecessors: Mutex::new(Vec::new()),
            outbox: Mutex::new(Outbox::default()),
            trade: Mutex::new(()),
            number: AtomicU64::new(0),
            generation: AtomicU64::new(0),
            heard_before: AtomicU64::new(0),
            recalls_upto: AtomicU64::new(0),
            deadline: AtomicU64::new(deadline),
            lender_clock: AtomicI64::new(if local { now.wall } else { now.wall - mono_millis(now) }),
            last_mono: AtomicU64::new(now.mono),
            last_wall: AtomicI64::new(now.wall),
            swept: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            unsynced: AtomicBool::new(true),
            findings,
            wake: Mutex::new(None),
            _lock: file,
            options,
        };
        let ledger = Self { inner: Arc::new(inner) };
        let known = ledger.learn_generation(now);
        ledger
            .inner
            .heard_before
            .store(dead.iter().map(|file| file.heard).max().unwrap_or(0), Ordering::Relaxed);
        let dead = dead.into_iter().map(|file| Predecessor::new(file, known));
        lock(&ledger.inner.predecessors).extend(dead);
        ledger.tell_of_predecessors(now);
        Ok(ledger)
    }

    /// Finds or makes an account. A newer revision with another limit activates it: unreserved money goes back first
    /// (L4). It also enables an account that was disabled.
    ///
    /// # Errors
    /// The time zone is not known.
    pub fn account(&self, now: Now, spec: &AccountSpec<'_>) -> Result<Arc<Account>, UnknownTimeZone> {
        let id = spec.id(&self.inner.options.install);
        if let Some(account) = self.find(id) {
            self.learn_limit(now, &account, spec);
            return Ok(account);
        }
        let calendar = Calendar::new(spec.period, spec.timezone)?;
        let limit = spec.limit.max(0);
        let made = Arc::new(Account::new(id, calendar, limit, spec.revision, self.wall(now)));
        let mut shard = self.shard(id).write().unwrap_or_else(PoisonError::into_inner);
        let account = Arc::clone(shard.entry(id).or_insert(made));
        drop(shard);
        // Another thread may have made it meanwhile, with limits from before a reload.
        self.learn_limit(now, &account, spec);
        Ok(account)
    }

    /// An account of which this process knows already.
    pub fn known(&self, id: AccountId) -> Option<Arc<Account>> {
        self.find(id)
    }

    fn learn_limit(&self, now: Now, account: &Account, spec: &AccountSpec<'_>) {
        let limit = spec.limit.max(0);
        let mut state = account.lock_at(self.wall(now));
        if spec.revision <= state.revision {
            return;
        }
        let changed = state.limit != limit || state.disabled;
        (state.limit, state.revision, state.disabled) = (limit, spec.revision, false);
        let used = state.current.known || state.current.slot.is_some();
        if !changed {
            return;
        }
        // The lender has not answered under the new limit yet: nobody is refused, or let in, by what it said before.
        state.current.lendable = state.current.remaining(limit);
        state.give_back_all(0);
        if state.waits_if_any().is_some() {
            state.waits().forget_refusal();
        }
        drop(state);
        if used {
            self.report(now, account);
        }
    }
}

/// The spend files of earlier processes; those that nobody needs any more are removed.
fn dead_files(dir: &Path, wall: i64) -> std::io::Result<(Vec<DeadFile>, Vec<Finding>)> {
    let (mut dead, mut findings) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !(name.starts_with("spend-") && name.ends_with(".bin")) {
            continue;
        }
        match DeadFile::read(&path) {
            Ok(file) if file.is_over(wall) || is_old_and_closed(&file, wall) => std::fs::remove_file(&path)?,
            Ok(file) => {
                if file.damaged > 0 {
                    let problem = format!("{} damaged records; what they held stays leased", file.damaged);
                    findings.push(Finding::SpendFile { path, problem });
                }
                dead.push(file);
            }
            Err(fault) => findings.push(Finding::SpendFile { path, problem: fault.to_string() }),
        }
    }
    Ok((dead, findings))
}

/// Lifetime windows never end: their files go 48 h after they were closed; the lender's C covers them.
fn is_old_and_closed(file: &DeadFile, wall: i64) -> bool {
    let changed = std::fs::metadata(&file.path).and_then(|meta| meta.modified()).ok();
    let changed = changed.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    let changed = changed.and_then(|since| i64::try_from(since.as_millis()).ok());
    file.closed > 0 && changed.is_some_and(|at| at.saturating_add(LATE_REPORTS) <= wall)
}
