//! The definitions themselves: accepted with the cost of their rules, named as documented, with their defaults.

use crate::{KINDS, argument, manifest};
use serde_json::{Value, json};
use smartflow_rig::cluster::Cluster;

#[tokio::test]
async fn both_ways_of_applying_accept_every_definition_without_a_warning() {
    let cluster = Cluster::shared().await;
    let definitions = argument("crds/yaml");
    // A dry run goes through all checks: structural schema, and the cost of every rule against the server's budget.
    for way in [&["--server-side", "--force-conflicts"][..], &[][..]] {
        let said =
            cluster.kubectl().run(&[&["apply", "--dry-run=server", "-f", &definitions], way].concat()).await;
        let warned: Vec<_> = said.err.lines().filter(|l| !l.contains("last-applied-configuration")).collect();
        assert!(warned.is_empty(), "{warned:?}");
        assert_eq!(said.done().lines().count(), KINDS.len());
    }
    let stored = cluster.kubectl().get(&["customresourcedefinitions"]).await;
    let ours = stored["items"].as_array().unwrap().iter().filter(|d| d["spec"]["group"] == "smartflow.dev");
    let mut count = 0;
    for definition in ours {
        count += 1;
        let conditions = definition["status"]["conditions"].as_array().unwrap();
        let is = |kind: &str| {
            conditions.iter().find(|c| c["type"] == *kind).map_or("", |c| c["status"].as_str().unwrap())
        };
        assert_eq!((is("Established"), is("NamesAccepted")), ("True", "True"), "{definition}");
        assert_ne!(is("NonStructuralSchema"), "True", "{definition}");
    }
    assert_eq!(count, KINDS.len());
}

#[tokio::test]
async fn a_rule_above_the_servers_budget_is_refused() {
    // So that the test above means something: the budget is there, and a dry run sees it.
    let cluster = Cluster::shared().await;
    let text = std::fs::read_to_string(crate::path("crds/yaml/virtualkeys.yaml")).unwrap();
    let dear = "                models:\n                  x-kubernetes-validations:\n                    - rule: \"self.all(a, self.all(b, self.all(c, a + b != c)))\"\n";
    assert!(text.contains("                models:\n"));
    let dear = text.replacen("                models:\n", dear, 1);
    let said = cluster.kubectl().run_with(&["apply", "--dry-run=server", "-f", "-"], &dear).await.refused();
    assert!(said.contains("estimated rule cost exceeds budget"), "{said}");
}

#[tokio::test]
async fn kinds_have_their_short_names_and_one_category() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("names", &[]).await;
    let kubectl = cluster.kubectl().in_namespace(&namespace);
    for (kind, _, short) in KINDS {
        let _ = kubectl.apply(&manifest(kind, "one", &smallest(kind))).await.done();
        let found = kubectl.get(&[short, "one"]).await;
        assert_eq!(found["kind"], *kind);
        assert_eq!(found["apiVersion"], "smartflow.dev/v1alpha1");
    }
    let all = kubectl.run(&["get", "smartflow", "--output=name"]).await.done();
    assert_eq!(all.lines().count(), KINDS.len(), "{all}");
    let everything = kubectl.run(&["get", "all", "--output=name"]).await.done();
    assert!(!everything.contains("smartflow"), "not in the category that everybody lists: {everything}");
}

#[tokio::test]
async fn a_new_object_says_that_nobody_looked_at_it_yet() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("new", &[]).await;
    let kubectl = cluster.kubectl().in_namespace(&namespace);
    for (kind, plural, _) in KINDS {
        let _ = kubectl.apply(&manifest(kind, "fresh", &smallest(kind))).await.done();
        let object = kubectl.get(&[plural, "fresh"]).await;
        assert_eq!(object["status"], json!({ "observedGeneration": -1 }), "{kind}");
        assert_eq!(object["metadata"]["generation"], 1);
    }
}

#[tokio::test]
async fn tables_show_what_people_look_for() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("tables", &[]).await;
    let kubectl = cluster.kubectl().in_namespace(&namespace);
    let spec = json!({ "owner": { "user": "ann" }, "models": ["*"], "budget": { "limitUSD": "7.50", "period": "Weekly" } });
    let _ = kubectl.apply(&manifest("VirtualKey", "shown", &spec)).await.done();
    let table = kubectl.run(&["get", "virtualkeys"]).await.done();
    let (head, row) = table.split_once('\n').unwrap();
    let head: Vec<_> = head.split_whitespace().collect();
    assert_eq!(head, ["NAME", "OWNER", "SPENT", "BUDGET", "PERIOD", "RESETS", "READY", "AGE"]);
    assert!(row.contains("ann") && row.contains("7.50") && row.contains("Weekly"), "{row}");
}

#[tokio::test]
async fn off_needs_its_quotes() {
    // What documents warn of: kubectl reads YAML 1.1, where a bare Off is false.
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("off", &[]).await;
    let kubectl = cluster.kubectl().in_namespace(&namespace);
    let policy = |off: &str| {
        format!(
            "apiVersion: smartflow.dev/v1alpha1\nkind: Policy\nmetadata:\n  name: watched\nspec:\n  enforcement: {off}\n  limits:\n    per: User\n    requestsPerMinute: 5\n"
        )
    };
    let said = kubectl.apply(&policy("Off")).await.refused();
    assert!(said.contains("spec.enforcement") && said.contains("boolean"), "{said}");
    let _ = kubectl.apply(&policy("\"Off\"")).await.done();
}

/// The least that the kind accepts.
pub(crate) fn smallest(kind: &str) -> Value {
    match kind {
        "LLMProvider" => json!({ "provider": "simulated" }),
        "FallbackChain" => json!({
            "models": ["best"],
            "targets": [{ "name": "a", "providerRef": { "name": "x" }, "model": "m" }],
        }),
        "VirtualKey" => json!({}),
        _ => json!({ "limits": { "per": "User", "requestsPerMinute": 5 } }),
    }
}
