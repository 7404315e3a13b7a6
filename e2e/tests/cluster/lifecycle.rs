//! The rig itself: a cluster of one's own, stopped, paused, asked for its log, and gone at the end.

use smartflow_rig::cluster::{Cluster, until};
use std::net::TcpStream;
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_cluster_stops_pauses_tells_who_wrote_and_leaves_nothing_behind() {
    let start = Instant::now();
    let cluster = Cluster::start().await;
    println!("ready after {:.1} s, definitions included", start.elapsed().as_secs_f32());
    let Some(own) = cluster.own() else { return println!("not ours: USE_EXISTING_CLUSTER") };
    let namespace = cluster.namespace("lifecycle", &[]).await;
    let kubectl = cluster.kubectl().in_namespace(&namespace);

    let _ = kubectl.run(&["create", "configmap", "a"]).await.done();
    let _ = kubectl.run(&["get", "configmaps"]).await.done();
    let noted = || async { own.writes().iter().any(|w| w.resource == "configmaps" && w.name == "a") };
    until("the write is in the audit log", Duration::from_secs(10), noted).await;
    let writes = own.writes();
    let made = writes.iter().find(|w| w.resource == "configmaps" && w.name == "a").unwrap();
    assert_eq!((made.user.as_str(), made.verb.as_str(), made.code), ("admin", "create", 201));
    assert_eq!(made.namespace, namespace);
    assert!(writes.iter().all(|w| w.verb != "list" && w.verb != "get"), "reads are not counted");

    own.pause_api();
    let waiting = kubectl.run(&["get", "configmaps", "--request-timeout=1s"]).await.refused();
    assert!(waiting.contains("Timeout") || waiting.contains("deadline"), "{waiting}");
    own.resume_api();
    let _ = kubectl.run(&["get", "configmap", "a"]).await.done();

    own.stop_api();
    let refused = kubectl.run(&["get", "configmaps"]).await.refused();
    assert!(refused.contains("refused"), "{refused}");
    own.start_api().await;
    let _ = kubectl.run(&["get", "configmap", "a"]).await.done();

    let (address, folder) = (own.address(), cluster.kubeconfig().parent().unwrap().to_owned());
    assert!(TcpStream::connect(address).is_ok());
    drop(cluster);
    assert!(TcpStream::connect(address).is_err(), "the API server still listens");
    assert!(!folder.exists(), "its folder is still there");
}

#[tokio::test]
async fn controllers_collect_what_lost_its_owner_and_empty_namespaces() {
    let cluster = Cluster::shared().await;
    if let Some(own) = cluster.own() {
        own.controllers().await;
    }
    let namespace = cluster.namespace("controllers", &[]).await;
    let kubectl = cluster.kubectl().in_namespace(&namespace);
    let key = crate::manifest("VirtualKey", "owner", &serde_json::json!({ "models": ["*"] }));
    let _ = kubectl.apply(&key).await.done();
    let uid = kubectl.get(&["virtualkey", "owner"]).await["metadata"]["uid"].as_str().unwrap().to_owned();
    let reference = serde_json::json!({
        "apiVersion": "smartflow.dev/v1alpha1", "kind": "VirtualKey", "name": "owner", "uid": uid, "controller": true });
    let secret = serde_json::json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "owned", "ownerReferences": [reference] } });
    let _ = kubectl.apply(&secret.to_string()).await.done();

    let _ = kubectl.run(&["delete", "virtualkey", "owner"]).await.done();
    let gone = || async { !kubectl.run(&["get", "secret", "owned"]).await.ok };
    until("the Secret went with its owner", Duration::from_secs(60), gone).await;

    let _ = kubectl.apply(&key).await.done();
    let _ = cluster.kubectl().run(&["delete", "namespace", &namespace, "--timeout=60s"]).await.done();
}
