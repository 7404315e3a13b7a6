//! What pods are told of an object.

use super::Compiler;
use crate::carry::{Carried, Restraint, needed};
use crate::object::{Body, Kind, Object};
use serde_json::Value;
use serde_json::value::RawValue;

impl Compiler {
    /// What pods are told of `object`, which is among what this compiler compiled. `None`: nothing, as it is a Secret
    /// that no accepted provider refers to. It may be another after a change whenever the object is among the reports
    /// of that change; two that serialise alike are alike.
    #[must_use]
    pub fn carry(&self, object: &Object) -> Option<Carried> {
        let mut carried = Carried { created: object.created, ..Carried::default() };
        let mut spec = object.spec.as_deref();
        match &object.body {
            Body::Secret(_) => return self.carry_secret(object, carried),
            Body::Namespace(labels) => carried.labels.clone_from(labels),
            Body::Key { draft, salvage, .. } => {
                spec = spec.filter(|_| draft.is_some());
                carried.token = self.token_claimed(&object.id.name);
                if object.last_good {
                    (carried.disabled, carried.expires_at) = (salvage.disabled, salvage.expires_at);
                }
            }
            Body::Policy(draft) => {
                let restraint = Restraint::of(draft);
                carried.closed = spec.is_none().then(|| restraint.clone());
                carried.restraint = draft.policy.is_some().then_some(restraint);
            }
            Body::Provider(draft) => spec = spec.filter(|_| draft.is_some()),
            Body::Chain(draft) => spec = spec.filter(|_| draft.is_some()),
        }
        let value: Option<Value> = spec.and_then(|s| serde_json::from_str(s).ok());
        carried.level = needed(object.id.kind, value.as_ref());
        carried.spec = spec.and_then(|s| RawValue::from_string(s.to_owned()).ok());
        carried.last_good = object.last_good;
        carried.findings = object.findings.iter().map(Into::into).collect();
        Some(carried)
    }

    /// Of a Secret, the values that accepted providers refer to, and only when it is open for that.
    fn carry_secret(&self, object: &Object, mut carried: Carried) -> Option<Carried> {
        let name = &object.id.name;
        let data = self.secrets.get(name)?;
        let providers: Vec<_> =
            self.secrets.users(name).filter(|user| user.kind == Kind::LLMProvider).collect();
        if providers.is_empty() {
            return None;
        }
        let used = providers.iter().flat_map(|p| self.providers.keys_of(&p.name, name));
        if data.labelled {
            carried.values = used
                .filter_map(|key| data.values.get_key_value(key))
                .map(|(key, value)| (key.clone(), value.into()))
                .collect();
        }
        carried.labelled = data.labelled;
        carried.level = needed(Kind::Secret, None);
        Some(carried)
    }
}
