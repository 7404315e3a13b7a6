//! Whether the server may keep a ledger (L14a): one that evicts keys forgets spend.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use smartflow_store::redis::{Dedicated, cmd};

use super::{LenderError, away};

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

    /// Looks, when it is time or at another server, and tells the scripts what it found.
    pub(super) async fn look(
        &self,
        own: &mut Dedicated,
        limit: Duration,
        base: &str,
    ) -> Result<(), LenderError> {
        let run_id = own.server().run_id.clone();
        let due = {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.at.as_ref().is_none_or(|(at, server)| at.elapsed() >= EVERY || *server != run_id)
        };
        if !due {
            return Ok(());
        }
        let memory: String = own.run(cmd("INFO").arg("memory"), limit).await.map_err(away)?;
        let stats: String = own.run(cmd("INFO").arg("stats"), limit).await.map_err(away)?;
        let found = judge(&memory, &stats);
        let meta = format!("{base}:meta");
        // Every pod must stop, also one that has not looked yet: the scripts ask for this.
        let mut tell = match &found {
            Some(_) => cmd("HSET"),
            None => cmd("HDEL"),
        };
        tell.arg(meta).arg("stopped");
        if found.is_some() {
            tell.arg("evicting");
        }
        let exists: i64 = own.run(cmd("EXISTS").arg(format!("{base}:meta")), limit).await.map_err(away)?;
        if exists == 1 {
            let _: i64 = own.run(&tell, limit).await.map_err(away)?;
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        (seen.at, seen.found) = (Some((Instant::now(), run_id)), found);
        Ok(())
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
