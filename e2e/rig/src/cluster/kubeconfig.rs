//! Files that tell a client where the API server is and who it is.

use std::fs;
use std::path::Path;

/// Writes one that authenticates by a bearer token. `server` is a URL, `authority` the file of its certificate authority.
pub(super) fn write(path: &Path, server: &str, authority: &Path, token: &str) {
    let named = |kind: &str, value: serde_json::Value| serde_json::json!([{ "name": "test", kind: value }]);
    let config = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": named("cluster", serde_json::json!({
            "server": server,
            "certificate-authority": authority,
        })),
        "users": named("user", serde_json::json!({ "token": token })),
        "contexts": named("context", serde_json::json!({ "cluster": "test", "user": "test" })),
        "current-context": "test",
    });
    // JSON is YAML.
    fs::write(path, config.to_string()).expect("a kubeconfig");
}
