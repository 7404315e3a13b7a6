//! Every CEL rule, evaluated by the API server: the good sample passes, the bad one is refused by that rule.

use crate::manifest;
use crate::pairs::all_pairs;
use smartflow_rig::cluster::Cluster;

#[tokio::test]
async fn the_server_takes_every_good_sample_and_refuses_every_bad_one_with_the_rules_own_words() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("rules", &[]).await;
    let kubectl = cluster.kubectl().in_namespace(&namespace);
    let pairs = all_pairs();
    assert!(pairs.len() > 10);
    let named = |number: usize, kind| format!("{}-{number}", str::to_lowercase(kind));
    let good: Vec<_> =
        pairs.iter().enumerate().map(|(n, p)| manifest(p.kind, &named(n, p.kind), &p.good)).collect();
    let accepted = kubectl.apply(&good.join("\n---\n")).await.done();
    assert_eq!(accepted.lines().count(), pairs.len(), "{accepted}");

    for (number, pair) in pairs.iter().enumerate() {
        let name = named(number, pair.kind);
        let said = kubectl.apply(&manifest(pair.kind, &name, &pair.bad)).await.refused();
        let place = format!("{} {} `{}`", pair.kind, pair.node, pair.about);
        let reported = ["Invalid value", "Forbidden"].map(|kind| format!("{}: {kind}", pair.reported));
        assert!(reported.iter().any(|field| said.contains(field)), "{place}: {said}");
        let told = message(pair.kind, pair.node, pair.about);
        assert!(said.contains(&told), "{place}: expected `{told}`, the server said {said}");
    }
}

/// The message of a rule, from the definition.
fn message(kind: &str, node: &str, about: &str) -> String {
    let plural = crate::KINDS.iter().find(|(k, ..)| *k == kind).unwrap().1;
    let plural = plural.split('.').next().unwrap();
    let text = std::fs::read_to_string(crate::path(&format!("crds/yaml/{plural}.yaml"))).unwrap();
    let definition = smartflow_crds::all().unwrap().into_iter().find(|d| d.spec.names.kind == kind).unwrap();
    let definition = serde_json::to_value(&definition.spec.versions[0].schema).unwrap();
    let mut at = &definition["openAPIV3Schema"];
    for step in node.split('.') {
        at = &at["properties"][step];
    }
    let rules = at["x-kubernetes-validations"].as_array().unwrap();
    let rule = rules.iter().find(|r| r["rule"].as_str().unwrap().contains(about)).unwrap();
    let message = rule["message"].as_str().unwrap().to_owned();
    assert!(text.contains(&message), "the committed definition has another message");
    message
}
