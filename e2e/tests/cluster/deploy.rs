//! The manifests of `config/deploy`: accepted by the server, restricted, without a token for gateways, and in step with the
//! programs' flags.

use crate::argument;
use serde_json::{Value, json};
use smartflow_rig::cluster::{Cluster, Kubectl};
use tokio::sync::OnceCell;

/// Applies the default installation once for all tests here.
pub(crate) async fn installed() -> &'static Cluster {
    static ONCE: OnceCell<()> = OnceCell::const_new();
    let cluster = Cluster::shared().await;
    let apply = || async {
        let folder = argument("config/deploy/default");
        let said = cluster.kubectl().run(&["apply", "-k", &folder]).await;
        assert!(!said.err.contains("Warning"), "pod security or a deprecation: {}", said.err);
        let _ = said.done();
    };
    ONCE.get_or_init(apply).await;
    cluster
}

async fn rendered(kubectl: &Kubectl, folder: &str) -> Vec<Value> {
    let text = kubectl.run(&["kustomize", &argument(folder)]).await.done();
    let said =
        kubectl.run_with(&["create", "--dry-run=client", "--output=json", "-f", "-"], &text).await.done();
    let stream = serde_json::Deserializer::from_str(&said).into_iter::<Value>();
    let flat = stream.map(|value| value.unwrap()).flat_map(|value| match value["items"].as_array() {
        Some(items) => items.clone(),
        None => vec![value],
    });
    flat.collect()
}

/// A pod of a Deployment, as its controller would make it.
async fn pod(kubectl: &Kubectl, deployment: &str) -> Value {
    let deployment_object = kubectl.get(&["deployment", deployment]).await;
    let template = &deployment_object["spec"]["template"];
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": deployment, "labels": template["metadata"]["labels"] },
        "spec": template["spec"] })
}

async fn create(kubectl: &Kubectl, object: &Value) -> smartflow_rig::cluster::Said {
    let dry = ["create", "--dry-run=server", "--output=json", "-f", "-"];
    kubectl.run_with(&dry, &object.to_string()).await
}

#[tokio::test]
async fn both_installations_are_accepted() {
    let cluster = installed().await;
    let _ = cluster
        .kubectl()
        .run(&["get", "deployment", "-n=smartflow-system", "smartflow-operator"])
        .await
        .done();
    for team in ["team-a", "team-b"] {
        let _ = cluster
            .kubectl()
            .apply(&format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {team}}}}}"))
            .await;
    }
    for folder in [
        "config/deploy/default",
        "config/deploy/namespaces",
        "config/deploy/redis",
        "config/deploy/admission",
    ] {
        let apply =
            ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "-k", &argument(folder)];
        let said = cluster.kubectl().run(&apply).await;
        // What was applied here in the other way before is migrated, which a dry run cannot do.
        let warned: Vec<_> = said.err.lines().filter(|l| !l.contains("last-applied-configuration")).collect();
        assert!(warned.is_empty(), "{folder}: {warned:?}");
        let _ = said.done();
    }
}

#[tokio::test]
async fn pods_are_restricted_and_one_that_is_not_is_refused() {
    let cluster = installed().await;
    let kubectl = cluster.kubectl().in_namespace("smartflow-system");
    for deployment in ["smartflow-operator", "smartflow-gateway"] {
        let mut pod = pod(&kubectl, deployment).await;
        let _ = create(&kubectl, &pod).await.done();
        pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = json!(true);
        let said = create(&kubectl, &pod).await.refused();
        assert!(said.contains("violates PodSecurity \"restricted"), "{said}");
        let root = &pod["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"];
        assert_eq!(root, true, "{deployment}: no restriction of Kubernetes, and ours");
    }
}

#[tokio::test]
async fn gateways_get_no_token_and_the_operator_gets_one() {
    let cluster = installed().await;
    let kubectl = cluster.kubectl().in_namespace("smartflow-system");
    for (deployment, expected) in [("smartflow-operator", true), ("smartflow-gateway", false)] {
        let made = create(&kubectl, &pod(&kubectl, deployment).await).await.done();
        let made: Value = serde_json::from_str(&made).unwrap();
        let volumes = made["spec"]["volumes"].as_array().into_iter().flatten();
        let token = volumes.flat_map(|v| v["projected"]["sources"].as_array().into_iter().flatten());
        let token = token.filter(|source| !source["serviceAccountToken"].is_null()).count();
        assert_eq!(token, usize::from(expected), "{deployment}");
    }
}

#[tokio::test]
async fn the_installation_for_some_namespaces_has_no_role_beyond_them() {
    let cluster = Cluster::shared().await;
    let objects = rendered(&cluster.kubectl(), "config/deploy/namespaces").await;
    let of = |kind: &str| objects.iter().filter(|o| o["kind"] == *kind).collect::<Vec<_>>();
    assert!(of("ClusterRole").is_empty() && of("ClusterRoleBinding").is_empty());
    let mut places: Vec<_> = of("RoleBinding")
        .iter()
        .filter(|b| b["roleRef"]["name"] == "smartflow-operator")
        .map(|b| b["metadata"]["namespace"].as_str().unwrap())
        .collect();
    places.sort_unstable();
    assert_eq!(places, ["smartflow-system", "team-a", "team-b"]);
    let operator =
        of("Deployment").into_iter().find(|d| d["metadata"]["name"] == "smartflow-operator").unwrap();
    let arguments = operator["spec"]["template"]["spec"]["containers"][0]["args"].as_array().unwrap();
    let served = format!("--namespaces={}", places.join(","));
    assert!(arguments.iter().any(|a| *a == *served), "{arguments:?}");
}

#[tokio::test]
async fn a_pod_is_given_the_time_that_its_drain_takes() {
    let cluster = installed().await;
    let kubectl = cluster.kubectl().in_namespace("smartflow-system");
    let pod = pod(&kubectl, "smartflow-gateway").await;
    let container = &pod["spec"]["containers"][0];
    let arguments = container["args"].as_array().unwrap().iter().map(|a| a.as_str().unwrap());
    let drain = arguments.clone().find_map(|a| a.strip_prefix("--drain=")).unwrap();
    let drain: i64 = drain.strip_suffix('s').unwrap().parse().unwrap();
    let pause = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_i64().unwrap();
    assert!(pause >= 3);
    assert!(pod["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap() > pause + drain);
}

#[tokio::test]
async fn every_flag_in_a_manifest_is_one_of_the_program() {
    let cluster = installed().await;
    let kubectl = cluster.kubectl().in_namespace("smartflow-system");
    let help = std::process::Command::new(smartflow_e2e::gateway::binary()).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let pod = pod(&kubectl, "smartflow-gateway").await;
    let arguments = pod["spec"]["containers"][0]["args"].as_array().unwrap();
    assert!(!arguments.is_empty());
    for argument in arguments {
        let flag = argument.as_str().unwrap().split('=').next().unwrap();
        assert!(help.contains(&format!("{flag} ")), "smartflow-gateway has no {flag}:\n{help}");
    }
}

/// Copies a folder of manifests.
fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn tls_is_one_line_more_and_reaches_probes_and_service() {
    let cluster = installed().await;
    let home = tempfile::tempdir().unwrap();
    for folder in ["config/deploy", "crds"] {
        copy(argument(folder).as_ref(), &home.path().join(folder));
    }
    let place = home.path().join("config/deploy/default");
    let plain = std::fs::read_to_string(place.join("kustomization.yaml")).unwrap();
    std::fs::write(place.join("kustomization.yaml"), plain + "components:\n  - ../tls\n").unwrap();
    let kubectl = cluster.kubectl();
    let folder = place.to_str().unwrap();
    let dry = ["apply", "--dry-run=server", "--output=json", "-k", folder];
    let said = kubectl.run(&dry).await.done();
    let objects: Value = serde_json::from_str(&said).unwrap();
    let object = |kind: &str| {
        let all = objects["items"].as_array().unwrap().iter();
        all.filter(|o| o["kind"] == *kind)
            .find(|o| o["metadata"]["name"] == "smartflow-gateway")
            .unwrap()
            .clone()
    };
    let spec = object("Deployment")["spec"]["template"]["spec"].clone();
    let container = &spec["containers"][0];
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let asked = &container[probe]["httpGet"];
        assert_eq!((&asked["scheme"], &asked["port"]), (&json!("HTTPS"), &json!("http")), "{probe}");
    }
    let mounted = container["volumeMounts"].as_array().unwrap().iter().find(|m| m["name"] == "tls").unwrap();
    assert!(mounted["subPath"].is_null(), "single files are never renewed");
    let volume = spec["volumes"].as_array().unwrap().iter().find(|v| v["name"] == "tls").unwrap();
    assert_eq!(volume["secret"]["secretName"], "smartflow-gateway-tls");
    let help = std::process::Command::new(smartflow_e2e::gateway::binary()).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for variable in ["SMARTFLOW_TLS_CERT", "SMARTFLOW_TLS_KEY"] {
        let set = container["env"].as_array().unwrap().iter().find(|e| e["name"] == variable).unwrap();
        let path = set["value"].as_str().unwrap();
        assert!(path.starts_with(mounted["mountPath"].as_str().unwrap()), "{path}");
        assert!(help.contains(&format!("[env: {variable}=")), "{help}");
    }
    let ports = object("Service")["spec"]["ports"].clone();
    let ports: Vec<_> = ports.as_array().unwrap().iter().map(|p| p["port"].clone()).collect();
    assert_eq!(ports, [443], "and not the plaintext one beside it");
}
