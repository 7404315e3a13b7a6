//! What tools conclude from an object's status, on objects as the API server stores them.

use crate::definitions::smallest;
use crate::{KINDS, manifest};
use serde_json::{Value, json};
use smartflow_rig::cluster::kstatus::{Health, health};
use smartflow_rig::cluster::{Cluster, Kubectl};

fn status(generation: i64, conditions: &[(&str, &str)]) -> String {
    let conditions: Vec<_> = conditions
        .iter()
        .map(|(kind, status)| {
            json!({ "type": kind, "status": status, "reason": "ForTheTest", "message": "Says the test.",
                "observedGeneration": generation, "lastTransitionTime": "2026-01-01T00:00:00Z" })
        })
        .collect();
    json!({ "status": { "observedGeneration": generation, "conditions": conditions } }).to_string()
}

async fn write(kubectl: &Kubectl, plural: &str, status: &str) {
    let patch = ["patch", plural, "one", "--subresource=status", "--type=merge", "--patch", status];
    let _ = kubectl.run(&patch).await.done();
}

async fn now(kubectl: &Kubectl, plural: &str) -> Health {
    health(&kubectl.get(&[plural, "one"]).await)
}

#[tokio::test]
async fn tools_tell_new_valid_failed_and_deleted_objects_of_every_kind_apart() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("health", &[]).await;
    let kubectl = cluster.kubectl().in_namespace(&namespace);
    for (kind, plural, _) in KINDS {
        let _ = kubectl.apply(&manifest(kind, "one", &smallest(kind))).await.done();
        assert_eq!(now(&kubectl, plural).await, Health::InProgress, "{kind}: new");
        write(&kubectl, plural, &status(1, &[("Ready", "Unknown"), ("Reconciling", "True")])).await;
        assert_eq!(now(&kubectl, plural).await, Health::InProgress, "{kind}: worked on");
        write(&kubectl, plural, &status(1, &[("Accepted", "True"), ("Ready", "True")])).await;
        assert_eq!(now(&kubectl, plural).await, Health::Current, "{kind}: valid");
        let wait = ["wait", "--for=condition=Ready", plural, "one", "--timeout=5s"];
        let _ = kubectl.run(&wait).await.done();

        let mut changed = smallest(kind);
        changed[if kind == "LLMProvider" { "maxConcurrency" } else { "models" }] = match kind {
            "LLMProvider" => json!(3),
            _ => json!(["another"]),
        };
        if kind == "Policy" {
            changed = json!({ "limits": { "per": "User", "requestsPerMinute": 6 } });
        }
        let _ = kubectl.apply(&manifest(kind, "one", &changed)).await.done();
        let object = kubectl.get(&[plural, "one"]).await;
        assert_eq!(object["metadata"]["generation"], 2, "{kind}: a change of the spec counts");
        assert_eq!(object["status"]["observedGeneration"], 1, "{kind}: applying leaves the status alone");
        assert_eq!(health(&object), Health::InProgress, "{kind}: changed");
        write(&kubectl, plural, &status(2, &[("Ready", "False"), ("Stalled", "True")])).await;
        let object = kubectl.get(&[plural, "one"]).await;
        assert_eq!(object["metadata"]["generation"], 2, "{kind}: a status is no change of the spec");
        assert_eq!(health(&object), Health::Failed, "{kind}: will not get well");

        let held = json!({ "metadata": { "finalizers": ["smartflow.example/held"] } }).to_string();
        let _ = kubectl.run(&["patch", plural, "one", "--type=merge", "--patch", &held]).await.done();
        let _ = kubectl.run(&["delete", plural, "one", "--wait=false"]).await.done();
        assert_eq!(now(&kubectl, plural).await, Health::Terminating, "{kind}: deleted");
        let free = json!({ "metadata": { "finalizers": Value::Null } }).to_string();
        let _ = kubectl.run(&["patch", plural, "one", "--type=merge", "--patch", &free]).await.done();
        let _ = kubectl.run(&["get", plural, "one"]).await.refused();
    }
}

#[tokio::test]
async fn a_condition_without_a_reason_is_refused() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("reasons", &[]).await;
    let kubectl = cluster.kubectl().in_namespace(&namespace);
    let _ = kubectl.apply(&manifest("VirtualKey", "one", &json!({}))).await.done();
    let bare = json!({ "status": { "conditions": [{ "type": "Ready", "status": "True", "message": "x",
        "lastTransitionTime": "2026-01-01T00:00:00Z" }] } });
    let patch =
        ["patch", "virtualkeys", "one", "--subresource=status", "--type=merge", "--patch", &bare.to_string()];
    let said = kubectl.run(&patch).await.refused();
    assert!(said.contains("reason"), "{said}");
}
