//! Carried objects as objects again.

use super::{Carried, Restraint};
use crate::finding::{Finding, Reason};
use crate::kind::policy::PolicyDraft;
use crate::kind::secret::SecretData;
use crate::kind::virtual_key::{KeySalvage, TokenSource};
use crate::object::{Body, Kind, Object, ObjectRef, body};
use serde_json::Value;
use std::sync::Arc;

impl Object {
    /// The object that was carried.
    ///
    /// # Errors
    /// The finding that makes it unusable: the operator that sent it knows more than this version. [`Object::unusable`]
    /// is what is to be done then.
    pub fn carried(id: ObjectRef, carried: Carried) -> Result<Self, Finding> {
        let Carried { created, spec, last_good, token, disabled, expires_at, closed, .. } = carried;
        let Carried { labelled, values, labels, findings, .. } = carried;
        let salvage = KeySalvage { disabled, expires_at };
        let body = match (id.kind, &spec) {
            (Kind::Secret, _) => {
                let values = values.into_iter().map(|(key, value)| (key, value.into())).collect();
                Body::Secret(SecretData { labelled, values })
            }
            (Kind::Namespace, _) => Body::Namespace(labels),
            (kind, Some(spec)) => {
                let mut said = Vec::new();
                let spec: Value = serde_json::from_str(spec.get()).unwrap_or_default();
                let body = body(kind, &id.name, &spec, &spec, &mut said);
                if let Some(fault) = said.into_iter().find(Finding::is_error) {
                    return Err(fault);
                }
                match body {
                    Body::Key { draft: Some(mut draft), .. } => {
                        salvage.tighten(&mut draft.key);
                        // It was looked up by the operator; pods are not told the Secrets of tokens.
                        draft.token = TokenSource::Generated;
                        Body::Key { draft: Some(draft), salvage, generated: token }
                    }
                    body => body,
                }
            }
            (Kind::LLMProvider, None) => Body::Provider(None),
            (Kind::FallbackChain, None) => Body::Chain(None),
            (Kind::VirtualKey, None) => Body::Key { draft: None, salvage, generated: token },
            (Kind::Policy, None) => Body::Policy(Arc::new(closed.unwrap_or_default().close(&id.name, ""))),
        };
        let spec = spec.map(|spec| spec.get().into());
        let findings = findings.into_iter().map(Into::into).collect();
        Ok(Self { id, findings, body, last_good, spec, created })
    }

    /// An object that cannot be read here: what grants is absent, what restricts closes what it concerns.
    #[must_use]
    pub fn unusable(id: ObjectRef, restraint: Option<&Restraint>, why: Finding) -> Self {
        let body = match id.kind {
            Kind::LLMProvider => Body::Provider(None),
            Kind::FallbackChain => Body::Chain(None),
            Kind::VirtualKey => Body::Key { draft: None, salvage: KeySalvage::default(), generated: None },
            Kind::Policy => {
                let open = PolicyDraft { policy: None };
                let draft = restraint.map(|r| r.close(&id.name, &why.to_string()));
                Body::Policy(Arc::new(draft.unwrap_or(open)))
            }
            Kind::Secret => Body::Secret(SecretData::default()),
            Kind::Namespace => Body::Namespace(Default::default()),
        };
        Self { id, findings: vec![why], body, last_good: false, spec: None, created: 0 }
    }
}

impl Finding {
    /// What is said of an object that needs a reader of `level`, by one that reads `reads`.
    #[must_use]
    pub fn too_new(level: u32, reads: u32) -> Self {
        let message = format!("It needs a gateway that reads level {level}; this one reads {reads}.");
        Self::error(Reason::GatewayTooOld, "", message, "Update the gateways, then the operator.")
    }
}
