//! What calls may say of their own way by headers.

use serde::{Serialize, Serializer};
use std::fmt;

/// Something that a call may say by a header.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub enum Override {
    /// `x-smartflow-model`
    Model,
    /// `x-smartflow-provider`
    Provider,
    /// `x-smartflow-timeout-ms`
    Timeout,
    /// `x-smartflow-max-retries`
    Retries,
    /// `x-smartflow-tags`
    Tags,
    /// `x-smartflow-metadata`
    Metadata,
    /// `x-smartflow-unsupported`, where it asks for less than the key does.
    Unsupported,
}

impl Override {
    const ALL: [Self; 7] = [
        Self::Model,
        Self::Provider,
        Self::Timeout,
        Self::Retries,
        Self::Tags,
        Self::Metadata,
        Self::Unsupported,
    ];

    fn bit(self) -> u8 {
        match self {
            Self::Model => 1,
            Self::Provider => 2,
            Self::Timeout => 4,
            Self::Retries => 8,
            Self::Tags => 16,
            Self::Metadata => 32,
            Self::Unsupported => 64,
        }
    }
}

/// What is done about fields of a request that the provider's format does not have.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize)]
pub enum Unsupported {
    /// They are left out, and the caller is told.
    #[default]
    Drop,
    /// The request is refused.
    Reject,
}

impl Unsupported {
    /// True for what need not be said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A set of them, in one byte: there may be very many keys.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Overrides(u8);

impl Overrides {
    /// True when `what` is in it.
    #[must_use]
    pub fn allows(self, what: Override) -> bool {
        self.0 & what.bit() != 0
    }

    /// Adds `what`.
    pub fn insert(&mut self, what: Override) {
        self.0 |= what.bit();
    }

    /// True when nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0 == 0
    }

    fn listed(self) -> impl Iterator<Item = Override> {
        Override::ALL.into_iter().filter(move |o| self.allows(*o))
    }
}

impl FromIterator<Override> for Overrides {
    fn from_iter<I: IntoIterator<Item = Override>>(all: I) -> Self {
        Self(all.into_iter().fold(0, |bits, o| bits | o.bit()))
    }
}

impl fmt::Debug for Overrides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.listed()).finish()
    }
}

impl Serialize for Overrides {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(self.listed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in_and_nothing_else() {
        for one in Override::ALL {
            let set = Overrides::from_iter([one]);
            assert_eq!(Override::ALL.map(|o| set.allows(o)), Override::ALL.map(|o| o == one));
        }
        assert!(Overrides::default().is_empty() && !Overrides::from_iter(Override::ALL).is_empty());
    }
}
