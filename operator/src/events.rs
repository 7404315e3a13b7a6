//! Events on objects: a fixed set of reasons, repeats aggregated by the recorder, never more than a few a second. They
//! are told at most once and may be lost; what matters is in the status.

use crate::watch::resource;
use k8s_openapi::api::core::v1::ObjectReference;
use kube_client::Client;
use kube_runtime::events::{Event, EventType, Recorder, Reporter};
use smartflow_compile::ObjectRef;
use std::time::Duration;
use tokio::sync::mpsc;

/// Events that may wait; further ones are dropped.
pub const QUEUE: usize = 256;
/// Pause between two events.
const PAUSE: Duration = Duration::from_millis(100);
/// Longest that the API server may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// Why an event is told: `reason`, what was done, and how grave it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The spec is not valid.
    Rejected,
    /// A policy is not valid: what it concerns is blocked.
    Closed,
    /// The Secret with a generated token was made.
    TokenCreated,
    /// A budget came to its soft limit.
    SoftLimitReached,
    /// A budget is used up.
    BudgetExhausted,
    /// What is published was lost by the store, or tampered with, and is published anew.
    Republished,
    /// A ready gateway does not run what was published.
    GatewayLagging,
    /// A gateway refused what lies in the store.
    GatewayRefused,
    /// A ready gateway is too old for what an object says.
    GatewayTooOld,
    /// The ledger was lost by the store; what was read of it was put back.
    LedgerRestored,
}

impl Reason {
    fn words(self) -> (&'static str, &'static str, EventType) {
        match self {
            Self::Rejected => ("Rejected", "Validate", EventType::Warning),
            Self::Closed => ("Closed", "Validate", EventType::Warning),
            Self::TokenCreated => ("TokenCreated", "CreateToken", EventType::Normal),
            Self::SoftLimitReached => ("SoftLimitReached", "Spend", EventType::Warning),
            Self::BudgetExhausted => ("BudgetExhausted", "Spend", EventType::Warning),
            Self::Republished => ("Republished", "Publish", EventType::Warning),
            Self::GatewayLagging => ("GatewayLagging", "Follow", EventType::Warning),
            Self::GatewayRefused => ("GatewayRefused", "Follow", EventType::Warning),
            Self::GatewayTooOld => ("GatewayTooOld", "Publish", EventType::Warning),
            Self::LedgerRestored => ("LedgerRestored", "Restore", EventType::Warning),
        }
    }
}

/// An event that is to be told.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// Of which object.
    pub about: ObjectReference,
    /// Why.
    pub reason: Reason,
    /// For people.
    pub message: String,
}

/// The Lease, which events are about that concern no object of a user.
#[must_use]
pub fn lease(namespace: &str, name: &str) -> ObjectReference {
    ObjectReference {
        api_version: Some("coordination.k8s.io/v1".to_owned()),
        kind: Some("Lease".to_owned()),
        namespace: Some(namespace.to_owned()),
        name: Some(name.to_owned()),
        ..ObjectReference::default()
    }
}

impl Notice {
    /// About an object of ours.
    #[must_use]
    pub fn of(id: &ObjectRef, uid: &str, reason: Reason, message: impl Into<String>) -> Self {
        let kind = resource(id.kind);
        let about = ObjectReference {
            api_version: Some(kind.api_version),
            kind: Some(kind.kind),
            namespace: Some(id.name.namespace.to_string()),
            name: Some(id.name.name.to_string()),
            uid: Some(uid.to_owned()),
            ..ObjectReference::default()
        };
        Self { about, reason, message: message.into() }
    }
}

/// Tells events until nobody has any more.
pub async fn tell(client: Client, replica: String, mut notices: mpsc::Receiver<Notice>) {
    let reporter = Reporter { controller: crate::MANAGER.to_owned(), instance: Some(replica) };
    let recorder = Recorder::new(client, reporter);
    while let Some(Notice { about, reason, message }) = notices.recv().await {
        let (reason, action, type_) = reason.words();
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(shortened(message)),
            action: action.to_owned(),
            secondary: None,
        };
        match tokio::time::timeout(ANSWER, recorder.publish(&event, &about)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, reason, "an event was not told"),
            Err(_) => tracing::warn!(reason, "an event was not told: no answer in time"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The API server takes 1024 bytes at most.
fn shortened(mut note: String) -> String {
    const LONGEST: usize = 1000;
    if note.len() > LONGEST {
        note.truncate(note.floor_char_boundary(LONGEST));
        note.push('…');
    }
    note
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::client;
    use http::Method;
    use smartflow_compile::Kind;
    use smartflow_snapshot::ObjectName;
    use std::sync::{Arc, Mutex};

    #[tokio::test(start_paused = true)]
    async fn repeats_are_one_event_that_counts() {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        let client = client(move |request| {
            log.lock().unwrap().push((request.method.clone(), request.body.clone()));
            (200, request.body)
        });
        let (send, notices) = mpsc::channel(QUEUE);
        let id = ObjectRef { kind: Kind::Policy, name: ObjectName::new("n", "p") };
        for _ in 0..3 {
            send.try_send(Notice::of(&id, "u1", Reason::Closed, "x".repeat(2000))).unwrap();
        }
        drop(send);
        tell(client, "pod-1".to_owned(), notices).await;
        let asked = asked.lock().unwrap();
        let methods: Vec<_> = asked.iter().map(|(method, _)| method.clone()).collect();
        assert_eq!(methods, [Method::POST, Method::PATCH, Method::PATCH]);
        let event = &asked[0].1;
        assert_eq!((&event["reason"], &event["type"]), (&"Closed".into(), &"Warning".into()));
        assert_eq!(event["regarding"]["kind"], "Policy");
        assert!(event["note"].as_str().unwrap().len() <= 1024);
    }
}
