//! Forms of values that have none of their own.

use crate::finding::{Condition, Finding, Reason, Severity};
use crate::kind::secret::SecretValue;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smartflow_snapshot::Secret;
use zeroize::Zeroizing;

/// A finding, also one whose reason is not known here.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CarriedFinding {
    #[serde(default, skip_serializing_if = "super::is_false")]
    warning: bool,
    #[serde(default, skip_serializing_if = "super::is_false")]
    reference: bool,
    reason: Box<str>,
    path: Box<str>,
    message: Box<str>,
    fix: Box<str>,
}

impl CarriedFinding {
    pub(super) fn is_unknown_field(&self) -> bool {
        !self.warning && *self.reason == *Reason::UnknownField.as_str()
    }
}

impl From<&Finding> for CarriedFinding {
    fn from(finding: &Finding) -> Self {
        Self {
            warning: finding.severity == Severity::Warning,
            reference: finding.condition == Condition::ResolvedRefs,
            reason: finding.reason.as_str().into(),
            path: finding.path.clone(),
            message: finding.message.clone(),
            fix: finding.fix.clone(),
        }
    }
}

impl From<CarriedFinding> for Finding {
    fn from(carried: CarriedFinding) -> Self {
        let CarriedFinding { warning, reference, reason, path, message, fix } = carried;
        let reason = Reason::of(&reason).unwrap_or(Reason::Invalid);
        let make = if reference { Finding::reference } else { Finding::error };
        let finding = make(reason, &path, message, fix);
        if warning { finding.warning() } else { finding }
    }
}

/// A value of a Secret, in the clear.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum CarriedValue {
    Known(#[serde(with = "clear")] Secret),
    Missing(Box<CarriedFinding>),
}

impl From<&SecretValue> for CarriedValue {
    fn from(value: &SecretValue) -> Self {
        match value {
            SecretValue::Known(secret) => Self::Known(secret.clone()),
            SecretValue::Missing(finding) => Self::Missing(Box::new(CarriedFinding::from(&**finding))),
        }
    }
}

impl From<CarriedValue> for SecretValue {
    fn from(carried: CarriedValue) -> Self {
        match carried {
            CarriedValue::Known(secret) => Self::Known(secret),
            CarriedValue::Missing(finding) => Self::Missing(Box::new(Finding::from(*finding))),
        }
    }
}

/// The one form of a secret that shows it.
mod clear {
    use super::{Deserialize, Deserializer, Secret, Serializer, Zeroizing};

    pub(super) fn serialize<S: Serializer>(secret: &Secret, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(secret.open())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Secret, D::Error> {
        let text = Zeroizing::new(String::deserialize(d)?);
        Ok(Secret::new(&text))
    }
}

/// 64 hexadecimal digits.
pub(super) mod token {
    use crate::kind::virtual_key::hash;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};
    use smartflow_snapshot::TokenHash;

    #[allow(clippy::ref_option)] // As serde asks.
    pub(in crate::carry) fn serialize<S: Serializer>(
        token: &Option<TokenHash>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        s.collect_str(&token.unwrap_or(TokenHash([0; 32])))
    }

    pub(in crate::carry) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Option<TokenHash>, D::Error> {
        let text = String::deserialize(d)?;
        hash(&text).map(Some).ok_or_else(|| D::Error::custom("a token's hash is 64 hexadecimal digits"))
    }
}
