//! Whether the server may keep a ledger (L14a): one that evicts keys forgets spend.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use smartflow_store::redis::{Dedicated, Error, cmd};

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(5);

/// Why a server must not keep a ledger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsafe {
    /// It drops keys when memory is short.
    #[error(
        "Redis has maxmemory-policy {0}: set it to noeviction, or the ledger may be forgotten; nothing is lent"
    )]
    Policy(String),
    /// It has dropped keys since it was started.
    #[error(
        "Redis has evicted {0} keys since its start, the ledger's may be among them: nothing is lent until it was \
         restarted with maxmemory-policy noeviction"
    )]
    Evicted(u64),
}

#[derive(Debug, Default)]
pub(super) struct Guard {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    at: Option<(Instant, String)>,
    found: Option<Unsafe>,
}

impl Guard {
    /// What the last look found.
    pub(super) fn last(&self) -> Option<Unsafe> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).found.clone()
    }

    /// Looks, when it is time or at another server; whether the server may keep a ledger. Without a look, none. To be
    /// repeated until the scripts were told of it: [`Guard::has_told`].
    pub(super) async fn look(&self, own: &mut Dedicated, limit: Duration) -> Result<Option<bool>, Error> {
        let due = {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let run_id = &own.server().run_id;
            seen.at.as_ref().is_none_or(|(at, server)| at.elapsed() >= EVERY || server != run_id)
        };
        if !due {
            return Ok(None);
        }
        let memory: String = own.run(cmd("INFO").arg("memory"), limit).await?;
        let stats: String = own.run(cmd("INFO").arg("stats"), limit).await?;
        let found = judge(&memory, &stats);
        let well = found.is_none();
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).found = found;
        Ok(Some(well))
    }

    /// The scripts at this server know what the last look found.
    pub(super) fn has_told(&self, run_id: &str) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.at = Some((Instant::now(), run_id.to_owned()));
    }
}

fn judge(memory: &str, stats: &str) -> Option<Unsafe> {
    let field = |info: &str, name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(|value| value.trim().to_owned()).unwrap_or_default()
    };
    let evicted: u64 = field(stats, "evicted_keys").parse().unwrap_or(0);
    let policy = field(memory, "maxmemory_policy");
    if policy != "noeviction" {
        return Some(Unsafe::Policy(policy));
    }
    (evicted > 0).then_some(Unsafe::Evicted(evicted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l14a_only_a_server_that_never_evicts_may_keep_a_ledger() {
        let memory = |policy: &str| format!("# Memory\r\nmaxmemory:0\r\nmaxmemory_policy:{policy}\r\n");
        let stats = |keys: u64| format!("# Stats\r\nexpired_keys:7\r\nevicted_keys:{keys}\r\n");
        assert_eq!(judge(&memory("noeviction"), &stats(0)), None);
        assert_eq!(judge(&memory("allkeys-lru"), &stats(0)), Some(Unsafe::Policy("allkeys-lru".to_owned())));
        assert_eq!(judge(&memory("noeviction"), &stats(3)), Some(Unsafe::Evicted(3)));
        assert!(judge("", "").is_some(), "what cannot be read is not safe");
    }
}
