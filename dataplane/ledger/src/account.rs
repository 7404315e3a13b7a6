//! Who an account is (L2), and who speaks for a pod (L5).

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// An account: 128 bits of SHA-256 over install, namespace, name, budget name, period and time zone. By name, not by
/// UID, so deleting and creating a key again does not reset its cap.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AccountId(pub u128);

/// One start of one process: 128 random bits. Totals are kept per incarnation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation(pub u128);

/// The pod that an incarnation ran in: the pod's UID, or any 128 stable bits on a laptop.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PodId(pub u128);

macro_rules! hex_names {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:032x})", stringify!($name), self.0)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }
    )*};
}
hex_names!(AccountId, Incarnation, PodId);

impl Incarnation {
    /// A fresh one, from the keys that the standard library draws from the operating system for its hash maps.
    pub fn random() -> Self {
        use std::hash::{BuildHasher, RandomState};
        let keys = RandomState::new();
        Self(u128::from(keys.hash_one(0_u8)) << 64 | u128::from(keys.hash_one(1_u8)))
    }
}

/// Age of a limit (L4): the lender keeps the newest. Ordered by epoch, then number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Revision {
    /// Configuration epoch. Standalone: [`crate::lender::FileLender::epoch`], which grows with every start.
    pub epoch: u64,
    /// Revision within the epoch.
    pub number: u64,
}

/// How often a budget starts anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Period {
    /// From midnight to midnight in the account's time zone.
    Daily,
    /// From Monday's midnight.
    Weekly,
    /// From midnight of the first of the month.
    Monthly,
    /// Never.
    Lifetime,
}

impl Period {
    fn name(self) -> &'static str {
        match self {
            Self::Daily => "Daily",
            Self::Weekly => "Weekly",
            Self::Monthly => "Monthly",
            Self::Lifetime => "Lifetime",
        }
    }
}

/// What the gateway says about an account when it first needs it, and again when its limit changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSpec<'a> {
    /// Namespace of the resource that carries the budget.
    pub namespace: &'a str,
    /// Kind and name of that resource, e.g. `key/alice` or `policy/team-a`.
    pub name: &'a str,
    /// Name of the budget within the resource.
    pub budget: &'a str,
    /// How often it starts anew.
    pub period: Period,
    /// IANA name, e.g. `Europe/Berlin`.
    pub timezone: &'a str,
    /// The limit of one window: nano-USD, or tokens where the budget counts tokens.
    pub limit: i64,
    /// Age of the limit.
    pub revision: Revision,
}

/// Install in the ids of accounts. What keeps installs apart is their data folder, or their prefix in Redis.
pub const INSTALL: &str = "standalone";

/// Budget that a resource has for itself.
pub const OWN_BUDGET: &str = "budget";

/// [`AccountSpec::name`] of a VirtualKey.
#[must_use]
pub fn key_account(name: &str) -> String {
    format!("key/{name}")
}

impl AccountSpec<'_> {
    /// The account's id within an install.
    pub fn id(&self, install: &str) -> AccountId {
        let mut hash = Sha256::new();
        let parts = [install, self.namespace, self.name, self.budget, self.period.name(), self.timezone];
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        let mut first = [0_u8; 16];
        first.copy_from_slice(&hash.finalize()[..16]);
        AccountId(u128::from_be_bytes(first))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn spec<'a>(namespace: &'a str, name: &'a str) -> AccountSpec<'a> {
        AccountSpec {
            namespace,
            name,
            budget: "budget",
            period: Period::Daily,
            timezone: "UTC",
            limit: 1,
            revision: Revision::default(),
        }
    }

    #[test]
    fn the_id_tells_every_part_apart_and_no_other() {
        let base = spec("a", "bc").id("install");
        assert_ne!(base, spec("ab", "c").id("install"));
        assert_ne!(base, spec("a", "bc").id("other"));
        assert_ne!(base, AccountSpec { budget: "b2", ..spec("a", "bc") }.id("install"));
        assert_ne!(base, AccountSpec { period: Period::Weekly, ..spec("a", "bc") }.id("install"));
        assert_ne!(base, AccountSpec { timezone: "Asia/Tokyo", ..spec("a", "bc") }.id("install"));
        let newer = Revision { epoch: 9, number: 9 };
        assert_eq!(base, AccountSpec { limit: 7, revision: newer, ..spec("a", "bc") }.id("install"));
    }
}
