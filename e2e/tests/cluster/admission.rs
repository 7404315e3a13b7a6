//! The sample ValidatingAdmissionPolicies: who may weaken a Policy, and who may grant more than a namespace's ceiling.

use crate::{argument, manifest};
use serde_json::{Value, json};
use smartflow_rig::cluster::{Cluster, Kubectl, until};
use std::time::Duration;
use tokio::sync::OnceCell;

/// A namespace with a ceiling, and two users who may both write our kinds in it: one of no group, one of `ai-admins`.
struct Place {
    admin: Kubectl,
    lead: Kubectl,
    exempt: Kubectl,
}

async fn place(stem: &str) -> Place {
    static ONCE: OnceCell<()> = OnceCell::const_new();
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace(stem, &[]).await;
    let admin = cluster.kubectl().in_namespace(&namespace);
    let annotation = "smartflow.dev/monthly-ceiling-usd=100";
    let _ = admin.run(&["annotate", "namespace", &namespace, annotation]).await.done();
    for resource in ["policies", "virtualkeys"] {
        let role = format!("{resource}-writer");
        let of = format!("--resource={resource}.smartflow.dev");
        let verbs = "--verb=get,list,create,update,patch,delete";
        let _ = admin.run(&["create", "role", &role, verbs, &of]).await.done();
        let role = format!("--role={role}");
        let bind = ["create", "rolebinding", resource, &role, "--user=lead", "--user=exempt"];
        let _ = admin.run(&bind).await.done();
    }
    let lead = admin.clone().acting_as("lead", &["system:authenticated"]);
    let exempt = admin.clone().acting_as("exempt", &["system:authenticated", "ai-admins"]);
    let place = Place { admin, lead, exempt };
    let apply = || async {
        let _ = cluster.kubectl().run(&["apply", "-k", &argument("config/deploy/admission")]).await.done();
    };
    ONCE.get_or_init(apply).await;
    // The server looks for new policies now and then.
    let off = policy("Off");
    let dear = key(json!({ "limitUSD": "1000", "period": "Monthly" }));
    let active = || async {
        let dry = ["apply", "--dry-run=server", "-f", "-"];
        !place.lead.run_with(&dry, &off).await.ok && !place.lead.run_with(&dry, &dear).await.ok
    };
    until("the server applies the samples", Duration::from_secs(60), active).await;
    place
}

fn policy(enforcement: &str) -> String {
    let limits = json!({ "per": "User", "requestsPerMinute": 5 });
    manifest("Policy", "guard", &json!({ "enforcement": enforcement, "limits": limits }))
}

fn key(budget: Value) -> String {
    manifest("VirtualKey", "spender", &json!({ "models": ["*"], "budget": budget }))
}

#[tokio::test]
async fn only_those_who_may_lift_weaken_or_delete_a_policy() {
    let place = place("enforcement").await;
    let told = |said: String| assert!(said.contains("only those who may `lift` policies"), "{said}");
    told(place.lead.apply(&policy("Off")).await.refused());
    let _ = place.lead.apply(&policy("DryRun")).await.done();
    let _ = place.lead.apply(&policy("Enforce")).await.done();
    for weaker in ["DryRun", "Off"] {
        told(place.lead.apply(&policy(weaker)).await.refused());
    }
    told(place.lead.run(&["delete", "policies.smartflow.dev", "guard"]).await.refused());

    let _ = place.exempt.apply(&policy("Off")).await.done();
    let label = ["label", "policies.smartflow.dev", "guard", "seen=yes"];
    let _ = place.lead.run(&label).await.done();
    let _ = place.lead.apply(&policy("Enforce")).await.done();
    let _ = place.exempt.run(&["delete", "policies.smartflow.dev", "guard"]).await.done();
}

/// A policy can be emptied without touching `enforcement`, too.
#[tokio::test]
async fn a_policy_that_stays_on_is_weakened_by_those_who_may_lift_alone() {
    let place = place("weaker").await;
    let full = json!({
        "targets": { "teams": ["red", "blue"] },
        "limits": { "per": "User", "requestsPerMinute": 5, "tokensPerDay": 1000 },
        "budget": { "limitUSD": "9.5", "period": "Daily" },
        "access": { "groups": { "deny": ["guests"] } },
    });
    let with = |path: &str, value: Value| {
        let mut spec = full.clone();
        let (parent, field) = path.rsplit_once('/').unwrap();
        let parent = spec.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        match value {
            Value::Null => drop(parent.remove(field)),
            value => drop(parent.insert(field.to_owned(), value)),
        }
        manifest("Policy", "guard", &spec)
    };
    let same = with("/limits/per", json!("User"));
    let _ = place.lead.apply(&same).await.done();
    let weaker = [
        with("/targets/teams", json!(["red"])),
        with("/targets/users", json!(["ann"])),
        with("/targets/namespaces", json!(["typo"])),
        with("/limits", Value::Null),
        with("/limits/requestsPerMinute", json!(6)),
        with("/limits/tokensPerDay", Value::Null),
        with("/limits/per", json!("Key")),
        with("/budget", Value::Null),
        with("/budget/limitUSD", json!("10")),
        with("/budget/period", json!("Weekly")),
        with("/access", Value::Null),
        with("/access/groups/deny", json!(["others"])),
    ];
    for weaker in &weaker {
        let said = place.lead.apply(weaker).await.refused();
        assert!(said.contains("only those who may `lift` policies"), "{weaker}: {said}");
    }
    let stricter = [
        with("/targets/teams", json!(["blue", "green", "red"])),
        with("/targets", Value::Null),
        with("/limits/requestsPerMinute", json!(4)),
        with("/limits/maxParallel", json!(1)),
        with("/budget/limitUSD", json!("9.25")),
    ];
    for stricter in &stricter {
        let _ = place.lead.apply(stricter).await.done();
        let _ = place.exempt.apply(&same).await.done();
    }
    let _ = place.exempt.apply(&weaker[0]).await.done();
}

#[tokio::test]
async fn the_account_of_the_operator_makes_tokens_of_keys_and_its_sealing_key_alone() {
    let place = place("secrets").await;
    let namespace = place.admin.get(&["rolebinding", "policies"]).await["metadata"]["namespace"].clone();
    let account = format!("system:serviceaccount:{}:smartflow-operator", namespace.as_str().unwrap());
    let other = "system:serviceaccount:elsewhere:smartflow-operator";
    let create = ["create", "role", "secrets", "--verb=create,get", "--resource=secrets"];
    let _ = place.admin.run(&create).await.done();
    let users = [format!("--user={account}"), format!("--user={other}")];
    let bind = ["create", "rolebinding", "secrets", "--role=secrets", &users[0], &users[1]];
    let _ = place.admin.run(&bind).await.done();
    let own = place.admin.clone().acting_as(&account, &["system:serviceaccounts"]);
    let other = place.admin.clone().acting_as(other, &["system:serviceaccounts"]);
    let dry = ["create", "secret", "generic", "anything", "--dry-run=server"];
    let active = async || !own.run(&dry).await.ok;
    until("the server applies the sample", Duration::from_secs(60), active).await;
    let make = async |by: &Kubectl, kind: &str, name: &str| {
        let annotations = json!({ "kubernetes.io/service-account.name": "default" });
        let metadata = json!({ "name": name, "annotations": annotations });
        let secret = json!({ "apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": metadata });
        by.run_with(&["create", "-f", "-"], &secret.to_string()).await
    };
    for (by, kind, name) in [
        (&own, "kubernetes.io/service-account-token", "stolen"),
        (&own, "Opaque", "anything"),
        (&other, "Opaque", "smartflow-sealing-key"),
    ] {
        let said = make(by, kind, name).await.refused();
        assert!(said.contains("smartflow-sealing-key beside itself"), "{said}");
    }
    let _ = make(&own, "Opaque", "smartflow-sealing-key").await.done();
    let _ = make(&other, "smartflow.dev/virtual-key", "alice").await.done();
    let _ = make(&place.admin, "Opaque", "anything").await.done();
}

#[tokio::test]
async fn leaving_the_field_out_is_enforcing() {
    let place = place("default").await;
    let bare = json!({ "limits": { "per": "User", "requestsPerMinute": 5 } });
    let _ = place.lead.apply(&manifest("Policy", "guard", &bare)).await.done();
    let _ = place.lead.apply(&policy("Off")).await.refused();
}

#[tokio::test]
async fn budgets_above_the_ceiling_of_the_namespace_are_for_those_who_may_exceed_it() {
    let place = place("ceiling").await;
    let budget = |limit: &str, period: &str| key(json!({ "limitUSD": limit, "period": period }));
    let told = |said: String| assert!(said.contains("monthly-ceiling-usd"), "{said}");
    let above = [("100.000000001", "Monthly"), ("3.30", "Daily"), ("17", "Weekly"), ("101", "Lifetime")];
    for (limit, period) in above {
        told(place.lead.apply(&budget(limit, period)).await.refused());
    }
    let unlimited = manifest("VirtualKey", "spender", &json!({ "models": ["*"] }));
    told(place.lead.apply(&unlimited).await.refused());
    let pays = json!({ "models": ["*"], "parentRef": { "name": "team" } });
    let _ = place.lead.apply(&manifest("VirtualKey", "member", &pays)).await.done();

    for (limit, period) in [("100", "Monthly"), ("3.20", "Daily"), ("16.5", "Weekly")] {
        let _ = place.lead.apply(&budget(limit, period)).await.done();
    }
    let _ = place.exempt.apply(&budget("500", "Monthly")).await.done();
    let _ = place.lead.run(&["label", "virtualkeys", "spender", "seen=yes"]).await.done();
    told(place.lead.apply(&budget("501", "Monthly")).await.refused());
    told(place.lead.apply(&unlimited).await.refused());
    let _ = place.lead.apply(&budget("400", "Monthly")).await.done();
}

#[tokio::test]
async fn a_namespace_without_a_ceiling_has_none_and_a_senseless_one_closes() {
    let place = place("senseless").await;
    let namespace = |annotation: &'static str| {
        let admin = place.admin.clone();
        async move {
            let object = admin.get(&["rolebinding", "policies"]).await;
            let name = object["metadata"]["namespace"].as_str().unwrap().to_owned();
            let _ = admin.run(&["annotate", "namespace", &name, "--overwrite", annotation]).await.done();
        }
    };
    let dear = key(json!({ "limitUSD": "1000000", "period": "Daily" }));
    namespace("smartflow.dev/monthly-ceiling-usd=lots").await;
    let closed = || async {
        let said = place.lead.run_with(&["apply", "--dry-run=server", "-f", "-"], &dear).await;
        !said.ok && !said.err.contains("above what namespace")
    };
    until("the server sees the annotation", Duration::from_secs(30), closed).await;
    namespace("smartflow.dev/monthly-ceiling-usd-").await;
    let free = || async { place.lead.apply(&dear).await.ok };
    until("the server sees that it is gone", Duration::from_secs(30), free).await;
}
