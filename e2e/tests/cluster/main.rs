//! What a real Kubernetes API server makes of our definitions, samples and manifests. `cargo xtask tools` builds it.
//!
//! The tests share one server and keep to namespaces of their own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod admission;
mod definitions;
mod deploy;
mod explain;
mod lifecycle;
#[path = "../../../crds/tests/pairs/mod.rs"]
mod pairs;
mod roles;
mod rules;
mod samples;
mod status;

use std::path::PathBuf;

/// The kinds: name, plural, short name.
const KINDS: [(&str, &str, &str); 4] = [
    ("LLMProvider", "llmproviders", "llmp"),
    ("FallbackChain", "fallbackchains", "fbc"),
    ("VirtualKey", "virtualkeys", "vkey"),
    ("Policy", "policies.smartflow.dev", "sfpol"),
];

/// A path in the repository.
fn path(inside: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(inside)
}

/// The same as an argument.
fn argument(inside: &str) -> String {
    path(inside).to_str().expect("a plain path").to_owned()
}

/// A manifest as YAML (JSON is YAML).
fn manifest(kind: &str, name: &str, spec: &serde_json::Value) -> String {
    let metadata = serde_json::json!({ "name": name });
    serde_json::json!({ "apiVersion": "smartflow.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec })
        .to_string()
}
