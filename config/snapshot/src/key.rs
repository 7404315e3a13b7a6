//! Virtual keys: who may call what.

use crate::{Budget, Keyed, Limits, ObjectName, Overrides, TokenHash, Unsupported};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A virtual key, ready to be looked up by its token's hash. What many keys have alike is stored once (`Arc`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Key {
    /// The VirtualKey object.
    pub name: ObjectName,
    /// SHA-256 of its token. `None` = it has none that may be used (its Secret is missing, another key has the same
    /// one): nobody can call with it, but it still pays for its children.
    pub token: Option<TokenHash>,
    /// Who it was given to.
    pub owner: Option<Box<Owner>>,
    /// Which model names it may write.
    pub models: Grants,
    /// What its calls may say of their own way by headers.
    #[serde(skip_serializing_if = "Overrides::is_empty")]
    pub overrides: Overrides,
    /// What is done about fields that a provider's format does not have, where the call does not say.
    #[serde(skip_serializing_if = "Unsupported::is_default")]
    pub unsupported: Unsupported,
    /// Its own budget.
    pub budget: Option<Arc<Budget>>,
    /// Its own rates.
    pub limits: Option<Arc<Limits>>,
    /// Refused with `key_disabled`.
    pub disabled: bool,
    /// Refused with `key_expired` from this second on (Unix time).
    pub expires_at: Option<i64>,
    /// Keys whose budgets and limits also pay, nearest first; resolved and free of cycles.
    pub parents: Box<[ObjectName]>,
    /// When the object was created, Unix seconds, 0 = not known: of two keys with one token the earlier one has it. It
    /// changes nothing about calls, so that it is no part of the content.
    #[serde(skip)]
    pub created: i64,
}

/// What a key without a usable token is found under: not the hash of anything that is known.
static NO_TOKEN: TokenHash = TokenHash([0; 32]);

impl Keyed<TokenHash> for Arc<Key> {
    fn key(&self) -> &TokenHash {
        self.token.as_ref().unwrap_or(&NO_TOKEN)
    }
}

impl Keyed<ObjectName> for Arc<Key> {
    fn key(&self) -> &ObjectName {
        &self.name
    }
}

/// Who a key was given to; policies and the usage log refer to it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Owner {
    /// A person or service.
    pub user: Option<Box<str>>,
    /// The team that pays.
    pub team: Option<Arc<str>>,
    /// Groups, sorted.
    pub groups: Arc<[Box<str>]>,
    /// Free labels for the usage log.
    pub labels: Arc<BTreeMap<Box<str>, Box<str>>>,
}

/// Which names are granted. Empty = nothing.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Grants(pub Arc<[Grant]>);

/// One pattern over the name that the caller wrote.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
pub enum Grant {
    /// `*`
    All,
    /// `name*`: every name that starts so.
    Prefix(Box<str>),
    /// Exactly this name.
    Exact(Box<str>),
}

impl Grant {
    /// The pattern as it is written in a resource.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some("") => Self::All,
            Some(prefix) => Self::Prefix(prefix.into()),
            None => Self::Exact(text.into()),
        }
    }

    /// True when `name` fits.
    #[must_use]
    pub fn allows(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Prefix(prefix) => name.starts_with(&**prefix),
            Self::Exact(exact) => name == &**exact,
        }
    }
}

impl Grants {
    /// True when any pattern fits `name`.
    #[must_use]
    pub fn allows(&self, name: &str) -> bool {
        self.0.iter().any(|g| g.allows(name))
    }
}
