//! Objects by words, for tests.

pub(crate) mod edit;

use serde_json::{Value, json};
use smartflow_compile::{Compiled, Kind, Object, ObjectRef, Reason, Report, Resources, Settings, compile};
use smartflow_snapshot::ObjectName;

/// A manifest of `kind`.
pub(crate) fn manifest(kind: Kind, namespace: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": kind.api_version(),
        "kind": kind.as_str(),
        "metadata": { "namespace": namespace, "name": name },
        "spec": spec,
    })
}

pub(crate) fn object(kind: Kind, namespace: &str, name: &str, spec: Value) -> Object {
    Object::read(manifest(kind, namespace, name, spec)).unwrap()
}

pub(crate) fn provider(namespace: &str, name: &str, spec: Value) -> Object {
    object(Kind::LLMProvider, namespace, name, spec)
}

pub(crate) fn chain(namespace: &str, name: &str, spec: Value) -> Object {
    object(Kind::FallbackChain, namespace, name, spec)
}

/// A key; one without a token of its own gets one that is made from its name.
pub(crate) fn key(namespace: &str, name: &str, spec: Value) -> Object {
    let token = smartflow_snapshot::TokenHash::of(format!("{namespace}/{name}").as_bytes());
    object(Kind::VirtualKey, namespace, name, spec).with_token(token)
}

pub(crate) fn policy(namespace: &str, name: &str, spec: Value) -> Object {
    object(Kind::Policy, namespace, name, spec)
}

pub(crate) fn secret(namespace: &str, name: &str, labelled: bool, values: Value) -> Object {
    let labels = if labelled { json!({ "smartflow.dev/credential": "true" }) } else { json!({}) };
    Object::read(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "namespace": namespace, "name": name, "labels": labels },
        "stringData": values,
    }))
    .unwrap()
}

pub(crate) fn namespace(name: &str, labels: Value) -> Object {
    Object::read(
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels } }),
    )
    .unwrap()
}

/// `simulated` with models of these names, open to all.
pub(crate) fn simulated(models: &[&str]) -> Value {
    let models: Vec<Value> =
        models.iter().map(|m| json!({ "name": m, "price": { "input": "1", "output": "2" } })).collect();
    json!({ "provider": "simulated", "models": models, "access": { "namespaces": { "from": "All" } } })
}

pub(crate) fn world(objects: impl IntoIterator<Item = Object>) -> Compiled {
    compile(&objects.into_iter().collect::<Resources>(), &Settings::default())
}

pub(crate) fn name(namespace: &str, name: &str) -> ObjectName {
    ObjectName::new(namespace, name)
}

pub(crate) fn report<'a>(compiled: &'a Compiled, kind: Kind, namespace: &str, object: &str) -> &'a Report {
    let id = ObjectRef { kind, name: name(namespace, object) };
    compiled.reports.iter().find(|r| r.object == id).unwrap()
}

/// Reasons and fields of an object's findings.
pub(crate) fn said(compiled: &Compiled, kind: Kind, namespace: &str, object: &str) -> Vec<(Reason, String)> {
    let report = report(compiled, kind, namespace, object);
    report.findings.iter().map(|f| (f.reason, f.path.to_string())).collect()
}
