//! What the accounts may do, and that they may do nothing else.

use crate::argument;
use crate::deploy::installed;
use smartflow_rig::cluster::{Cluster, Kubectl, until};
use std::time::Duration;

/// Verb and resource, as `kubectl auth can-i` takes them; a subresource comes after a colon.
type Right = (&'static str, &'static str);

/// In every namespace that is served.
const OPERATOR: [Right; 12] = [
    ("list", "virtualkeys.smartflow.dev"),
    ("watch", "policies.smartflow.dev"),
    ("list", "llmproviders.smartflow.dev"),
    ("watch", "fallbackchains.smartflow.dev"),
    ("patch", "virtualkeys.smartflow.dev:status"),
    ("patch", "policies.smartflow.dev:status"),
    ("list", "secrets"),
    ("watch", "secrets"),
    ("create", "secrets"),
    ("get", "secrets"),
    ("create", "events.events.k8s.io"),
    ("patch", "events.events.k8s.io"),
];

/// Nowhere.
const NEVER: [Right; 16] = [
    ("create", "virtualkeys.smartflow.dev"),
    ("update", "virtualkeys.smartflow.dev"),
    ("patch", "virtualkeys.smartflow.dev"),
    ("delete", "virtualkeys.smartflow.dev"),
    ("patch", "policies.smartflow.dev"),
    ("delete", "policies.smartflow.dev"),
    ("update", "virtualkeys.smartflow.dev:status"),
    ("update", "secrets"),
    ("patch", "secrets"),
    ("delete", "secrets"),
    ("patch", "namespaces"),
    ("list", "pods"),
    ("list", "configmaps"),
    ("create", "serviceaccounts:token"),
    ("create", "roles.rbac.authorization.k8s.io"),
    ("impersonate", "users"),
];

async fn may(kubectl: &Kubectl, (verb, resource): Right, more: &[&str]) -> bool {
    let (resource, subresource) = resource.split_once(':').unwrap_or((resource, ""));
    let subresource = format!("--subresource={subresource}");
    let said = kubectl.run(&[&["auth", "can-i", verb, resource, &subresource], more].concat()).await;
    let answered = matches!(said.out.trim(), "yes" | "no" | "no - no RBAC policy matched");
    assert!(answered, "{verb} {resource}: {}{}", said.out, said.err);
    said.ok
}

#[tokio::test]
async fn the_operator_may_do_its_work_in_every_namespace_and_nothing_else() {
    let cluster = installed().await;
    let kubeconfig = cluster.kubeconfig_of("smartflow-system", "smartflow-operator").await;
    let operator = cluster.kubectl_with(&kubeconfig);
    let everywhere = ["--all-namespaces"];
    for right in OPERATOR.iter().chain(&[("list", "namespaces"), ("watch", "namespaces")]) {
        assert!(may(&operator, *right, &everywhere).await, "it may not {right:?}");
    }
    for right in NEVER {
        assert!(!may(&operator, right, &["--namespace=default"]).await, "it may {right:?}");
    }
    let own = ["--namespace=smartflow-system"];
    for right in [
        ("create", "leases.coordination.k8s.io"),
        ("get", "leases/smartflow-operator"),
        ("update", "leases/smartflow-operator"),
        ("list", "pods"),
    ] {
        assert!(may(&operator, right, &own).await, "it may not {right:?}");
    }
    for right in [("update", "leases/another"), ("create", "pods"), ("patch", "deployments.apps")] {
        assert!(!may(&operator, right, &own).await, "it may {right:?}");
    }
    assert!(!may(&operator, ("create", "leases.coordination.k8s.io"), &["--namespace=default"]).await);
}

#[tokio::test]
async fn with_roles_only_the_operator_stays_in_its_namespaces() {
    let cluster = installed().await;
    let (served, other) = (cluster.namespace("served", &[]).await, cluster.namespace("other", &[]).await);
    let text = cluster.kubectl().run(&["kustomize", &argument("config/deploy/rbac/namespace")]).await.done();
    let account = "system:serviceaccount:smartflow-system:smartflow-operator";
    assert!(text.contains(account), "{text}");
    // Here that account has the rights of the other installation as well: another name stands for it.
    let text = text.replace(account, "narrow-operator");
    let _ = cluster.kubectl().in_namespace(&served).apply(&text).await.done();
    let operator = cluster.kubectl().acting_as("narrow-operator", &["system:authenticated"]);
    let (inside, outside) = (format!("--namespace={served}"), format!("--namespace={other}"));
    for right in OPERATOR {
        assert!(may(&operator, right, &[&inside]).await, "it may not {right:?}");
        assert!(!may(&operator, right, &[&outside]).await, "it may {right:?} elsewhere");
    }
    for right in NEVER {
        assert!(!may(&operator, right, &[&inside]).await, "it may {right:?}");
    }
    assert!(!may(&operator, ("list", "namespaces"), &[]).await);
}

#[tokio::test]
async fn the_gateways_account_may_nothing() {
    let cluster = installed().await;
    let kubeconfig = cluster.kubeconfig_of("smartflow-system", "smartflow-gateway").await;
    let gateway = cluster.kubectl_with(&kubeconfig);
    for right in OPERATOR.into_iter().chain(NEVER) {
        assert!(!may(&gateway, right, &["--namespace=smartflow-system"]).await, "it may {right:?}");
    }
}

#[tokio::test]
async fn editors_grant_administrators_restrict_viewers_look_and_nobody_writes_a_status() {
    let cluster = installed().await;
    if let Some(own) = cluster.own() {
        // Roles are added up by a controller.
        own.controllers().await;
    }
    let namespace = cluster.namespace("people", &[]).await;
    let inside = format!("--namespace={namespace}");
    for role in ["admin", "edit", "view"] {
        let (binding, user) = (format!("--clusterrole={role}"), format!("--user=a-{role}"));
        let _ =
            cluster.kubectl().run(&["create", "rolebinding", role, &binding, &user, &inside]).await.done();
    }
    let person = |role: &str| cluster.kubectl().acting_as(&format!("a-{role}"), &["system:authenticated"]);
    let looks = || async { may(&person("view"), ("list", "policies.smartflow.dev"), &[&inside]).await };
    until("the roles are added up", Duration::from_secs(60), looks).await;
    let expected = [
        ("view", "create", "virtualkeys.smartflow.dev", false),
        ("view", "list", "virtualkeys.smartflow.dev", true),
        ("edit", "create", "virtualkeys.smartflow.dev", true),
        ("edit", "delete", "llmproviders.smartflow.dev", true),
        ("edit", "patch", "fallbackchains.smartflow.dev", true),
        ("edit", "create", "policies.smartflow.dev", false),
        ("edit", "delete", "policies.smartflow.dev", false),
        ("edit", "patch", "virtualkeys.smartflow.dev:status", false),
        ("admin", "patch", "policies.smartflow.dev", true),
        ("admin", "patch", "policies.smartflow.dev:status", false),
        ("admin", "lift", "policies.smartflow.dev", false),
        ("admin", "exceed", "virtualkeys.smartflow.dev", false),
    ];
    for (role, verb, resource, allowed) in expected {
        assert_eq!(
            may(&person(role), (verb, resource), &[&inside]).await,
            allowed,
            "{role}: {verb} {resource}"
        );
    }
}

#[tokio::test]
async fn a_namespaces_account_of_the_test_itself_starts_with_nothing() {
    // So that the tests above mean something: rights come from the manifests, not from the rig.
    let cluster = Cluster::shared().await;
    let stranger = cluster.kubectl().acting_as("stranger", &["system:authenticated"]);
    for right in OPERATOR {
        assert!(!may(&stranger, right, &["--namespace=default"]).await, "anybody may {right:?}");
    }
}
