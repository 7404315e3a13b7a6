//! VirtualKey: who may call what.

use super::restriction::{budget, grants, limits, words};
use super::{SecretKey, typed};
use crate::finding::Finding;
use crate::value::time;
use serde_json::Value;
use smartflow_crds as crds;
use smartflow_snapshot::{Key, ObjectName, Override, Owner, TokenHash, Unsupported};
use std::sync::Arc;

/// A key whose spec is sound; parents are not resolved, and a token only when the spec has its hash.
#[derive(Clone, Debug)]
pub(crate) struct KeyDraft {
    pub(crate) key: Key,
    pub(crate) token: TokenSource,
    pub(crate) parent: Option<Box<str>>,
    /// The Secret that a generated token belongs in, where it is not the key's own name.
    pub(crate) secret_name: Option<Box<str>>,
}

/// Where a key's token comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum TokenSource {
    /// The spec has its hash.
    Spec,
    /// It is made by whoever runs the compiler.
    Generated,
    /// Somebody brought it along.
    Secret(SecretKey),
}

impl TokenSource {
    pub(crate) fn secret(&self) -> Option<&SecretKey> {
        match self {
            Self::Secret(secret) => Some(secret),
            Self::Spec | Self::Generated => None,
        }
    }
}

/// What even an invalid spec says clearly enough to be obeyed. It only ever takes away: whatever cannot be a `false` counts
/// as `disabled`, and so does a field that is there twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct KeySalvage {
    pub(crate) disabled: bool,
    pub(crate) expires_at: Option<i64>,
}

impl KeySalvage {
    pub(crate) fn of(spec: &Value, findings: &[Finding]) -> Self {
        let twice = ["spec.disabled", "spec.expiresAt"].iter().any(|p| findings.iter().any(|f| f.doubles(p)));
        Self {
            disabled: twice || spec.get("disabled").is_some_and(is_meant),
            expires_at: spec.get("expiresAt").and_then(Value::as_str).and_then(time),
        }
    }

    /// Tightens `key`, which comes from an older spec.
    pub(crate) fn tighten(self, key: &mut Key) {
        key.disabled |= self.disabled;
        key.expires_at = [key.expires_at, self.expires_at].into_iter().flatten().min();
    }
}

/// False for what people write when they mean no: `no` and `off` are text in YAML 1.2.
fn is_meant(flag: &Value) -> bool {
    match flag {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::String(text) => !["", "false", "no", "off", "n"].contains(&&*text.to_ascii_lowercase()),
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::Array(_) | Value::Object(_) => true,
    }
}

/// The draft, or findings that say why there is none.
pub(crate) fn draft(name: &ObjectName, spec: &Value, findings: &mut Vec<Finding>) -> Option<KeyDraft> {
    let spec: crds::VirtualKeySpec = typed(spec, findings)?;
    let faults = findings.len();
    let budget = spec.budget.as_ref().and_then(|b| budget(b, "spec.budget", findings));
    let draft = KeyDraft {
        key: Key {
            name: name.clone(),
            token: spec.sha256.as_deref().and_then(hash),
            owner: spec.owner.as_ref().and_then(owner).map(Box::new),
            models: grants(&spec.models),
            overrides: spec.overrides.iter().map(|o| override_of(*o)).collect(),
            unsupported: match spec.unsupported {
                Some(crds::Unsupported::Reject) => Unsupported::Reject,
                Some(crds::Unsupported::Drop) | None => Unsupported::Drop,
            },
            budget: budget.map(Arc::new),
            limits: spec.limits.as_ref().map(|l| Arc::new(limits(l))),
            disabled: spec.disabled,
            expires_at: spec.expires_at.as_deref().and_then(time),
            parents: Box::default(),
            created: 0,
        },
        token: match (&spec.sha256, &spec.existing_secret_ref) {
            (Some(_), _) => TokenSource::Spec,
            (None, Some(secret)) => TokenSource::Secret(secret.into()),
            (None, None) => TokenSource::Generated,
        },
        parent: spec.parent_ref.map(|p| p.name.into()),
        secret_name: spec.secret_name.map(Into::into),
    };
    (findings.len() == faults).then_some(draft)
}

fn owner(spec: &crds::Owner) -> Option<Owner> {
    let pair = |(k, v): (&String, &String)| (k.as_str().into(), v.as_str().into());
    let owner = Owner {
        user: spec.user.as_deref().map(Into::into),
        team: spec.team.as_deref().map(Into::into),
        groups: words(&spec.groups).into(),
        labels: Arc::new(spec.labels.iter().map(pair).collect()),
    };
    (owner != Owner::default()).then_some(owner)
}

fn override_of(what: crds::Override) -> Override {
    match what {
        crds::Override::Model => Override::Model,
        crds::Override::Provider => Override::Provider,
        crds::Override::Timeout => Override::Timeout,
        crds::Override::Retries => Override::Retries,
        crds::Override::Tags => Override::Tags,
        crds::Override::Metadata => Override::Metadata,
        crds::Override::Unsupported => Override::Unsupported,
    }
}

/// 64 hexadecimal digits as 32 bytes.
pub(crate) fn hash(text: &str) -> Option<TokenHash> {
    let mut bytes = [0; 32];
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(TokenHash(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_read_back() {
        let token = TokenHash::of(b"sk-sf-0123456789");
        assert_eq!(hash(&token.to_string()), Some(token));
    }
}
