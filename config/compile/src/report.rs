//! What is said about each object.

use crate::finding::{Condition, Finding};
use crate::object::{Kind, ObjectRef};
use serde::Serialize;

/// What of an object is in force.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub enum Serving {
    /// What it says today.
    Current,
    /// Its last valid spec.
    LastGood,
    /// Nothing.
    Nothing,
    /// It blocks what it concerns, as it is an invalid policy.
    Closed,
}

/// Everything that is to be said about one object.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Report {
    /// The object.
    pub object: ObjectRef,
    /// What of it is in force.
    pub serving: Serving,
    /// Names of a chain's targets that do not serve, while the others do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<Box<str>>,
    /// Faults: its own first, then those of what it refers to.
    pub findings: Vec<Finding>,
}

/// Whether what was compiled runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Programmed {
    /// Every gateway that counts runs it.
    Yes,
    /// Not yet.
    No,
    /// It cannot be told: reason (CamelCase) and message.
    Unknown(&'static str, String),
}

/// One condition of `status.conditions`, without the times and the generation that only the writer knows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ConditionState {
    /// `Accepted`, `ResolvedRefs`, `Programmed`, `Ready`, `Reconciling` or `Stalled`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// `True`, `False` or `Unknown`.
    pub status: &'static str,
    /// One CamelCase word.
    pub reason: &'static str,
    /// For people: the field and the fix.
    pub message: String,
}

/// Reason of what is published and not yet in force everywhere.
const PENDING: &str = "Pending";

impl Report {
    /// True when the object is in force as it stands.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.serving == Serving::Current && !self.findings.iter().any(Finding::is_error)
    }

    /// The conditions that say this. None for Secrets and Namespaces, which are not ours to write to. Two are there only
    /// when they are true, for tools that wait: `Stalled`, the object is wrong by itself, so that waiting does not help;
    /// `Reconciling`, it is on its way, so that `Ready` is not known yet rather than false.
    #[must_use]
    pub fn conditions(&self, programmed: &Programmed) -> Vec<ConditionState> {
        if matches!(self.object.kind, Kind::Secret | Kind::Namespace) {
            return Vec::new();
        }
        let accepted = self.condition("Accepted", Condition::Accepted, "The spec is valid.");
        let resolved =
            self.condition("ResolvedRefs", Condition::ResolvedRefs, "Everything that it refers to is there.");
        let programmed = self.programmed(programmed);
        let mut ready = self.ready([&accepted, &resolved, &programmed]);
        let pending = ready.reason == PENDING;
        if pending {
            ready.status = "Unknown";
        }
        let reconciling =
            pending.then(|| ConditionState { kind: "Reconciling", status: "True", ..programmed.clone() });
        let stalled = (accepted.status == "False").then(|| ConditionState {
            kind: "Stalled",
            status: "True",
            reason: accepted.reason,
            message: accepted.message.clone(),
        });
        [accepted, resolved, programmed, ready].into_iter().chain(reconciling).chain(stalled).collect()
    }

    fn condition(&self, kind: &'static str, condition: Condition, fine: &str) -> ConditionState {
        let faults: Vec<&Finding> =
            self.findings.iter().filter(|f| f.is_error() && f.condition == condition).collect();
        let Some(first) = faults.first() else {
            return ConditionState { kind, status: "True", reason: kind, message: fine.to_owned() };
        };
        let mut message = first.to_string();
        if faults.len() > 1 {
            message.push_str(&format!(" ({} more)", faults.len() - 1));
        }
        match self.serving {
            Serving::LastGood => message.push_str(" The last valid spec serves."),
            Serving::Closed => message.push_str(" Until then everything that it concerns is blocked."),
            Serving::Current | Serving::Nothing => {}
        }
        ConditionState { kind, status: "False", reason: first.reason.as_str(), message }
    }

    fn programmed(&self, programmed: &Programmed) -> ConditionState {
        let without = self.missing();
        let (status, reason, message) = match (self.serving, programmed) {
            (Serving::Nothing, _) => ("False", "NotServed", "It is not in force.".to_owned()),
            (Serving::LastGood, _) => {
                ("False", "LastGood", format!("The last valid spec is in force{without}."))
            }
            (Serving::Closed, _) => ("False", "Closed", "It blocks what it concerns.".to_owned()),
            (Serving::Current, Programmed::Yes) => {
                ("True", "Programmed", format!("It is in force{without}."))
            }
            (Serving::Current, Programmed::No) => ("False", PENDING, "It is on its way.".to_owned()),
            (Serving::Current, Programmed::Unknown(reason, message)) => ("Unknown", *reason, message.clone()),
        };
        ConditionState { kind: "Programmed", status, reason, message }
    }

    /// Words for the targets that do not serve.
    fn missing(&self) -> String {
        match &self.without[..] {
            [] => String::new(),
            [one] => format!(": it serves without target {one}"),
            more => format!(": it serves without targets {}", more.join(", ")),
        }
    }

    fn ready(&self, parts: [&ConditionState; 3]) -> ConditionState {
        match parts.into_iter().find(|c| c.status != "True") {
            None => ConditionState {
                kind: "Ready",
                status: "True",
                reason: "Ready",
                message: "It is valid and in force.".to_owned(),
            },
            Some(part) => ConditionState {
                kind: "Ready",
                status: part.status,
                reason: part.reason,
                message: part.message.clone(),
            },
        }
    }
}
