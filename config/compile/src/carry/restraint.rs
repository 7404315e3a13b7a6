//! What a policy closes for whoever cannot read the rest of it.

use crate::kind::policy::{PolicyDraft, enforcement, salvage_targets};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use smartflow_snapshot::{Effect, Enforcement, Grant, Grants, ObjectName, Policy, Targets};

/// Whom a policy concerns, and how. It is readable for every version: a list that is not is left out, which widens what
/// is matched, and a mode that is not known blocks.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Restraint {
    /// As `spec.enforcement`; `Off` closes nothing.
    #[serde(default)]
    enforcement: Value,
    /// As `spec.targets`.
    #[serde(default)]
    targets: Value,
    /// Why it is closed, when it is.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    reason: Box<str>,
}

impl Restraint {
    pub(crate) fn of(draft: &PolicyDraft) -> Self {
        let Some(policy) = &draft.policy else {
            return Self { enforcement: json!("Off"), ..Self::default() };
        };
        let mode = match policy.enforcement {
            Enforcement::Enforce => "Enforce",
            Enforcement::DryRun => "DryRun",
        };
        let reason = match &policy.effect {
            Effect::Closed { reason } => reason.clone(),
            Effect::Restrict { .. } => Box::default(),
        };
        let Targets { namespaces, users, teams, groups, models, providers } = &policy.targets;
        let targets = json!({
            "namespaces": namespaces, "users": users, "teams": teams, "groups": groups,
            "models": patterns(models), "providers": providers,
        });
        Self { enforcement: json!(mode), targets, reason }
    }

    /// The policy that closes this, for `why` when it does not say so itself.
    pub(super) fn close(&self, name: &ObjectName, why: &str) -> PolicyDraft {
        let mode = serde_json::from_value(self.enforcement.clone()).unwrap_or_default();
        let targets = salvage_targets(&json!({ "targets": self.targets }), &[]);
        let reason = if self.reason.is_empty() { why.into() } else { self.reason.clone() };
        let policy = enforcement(mode).map(|enforcement| Policy {
            name: name.clone(),
            targets,
            enforcement,
            effect: Effect::Closed { reason },
        });
        PolicyDraft { policy }
    }
}

fn patterns(grants: &Grants) -> Vec<String> {
    let text = |grant: &Grant| match grant {
        Grant::All => "*".to_owned(),
        Grant::Prefix(prefix) => format!("{prefix}*"),
        Grant::Exact(name) => name.to_string(),
    };
    grants.0.iter().map(text).collect()
}
