//! Worlds on disk: resources as files, written the way an editor or a ConfigMap would.

use crate::vendor::Vendor;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder of resources, removed when dropped.
pub struct World {
    dir: TempDir,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// An empty world.
    ///
    /// # Panics
    /// When no folder can be made.
    #[must_use]
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary folder") }
    }

    /// A world with one provider, `vendor`, whose models are the mock's.
    #[must_use]
    pub fn of(vendor: &Vendor) -> Self {
        let world = Self::new();
        world.put("vendor", &provider(vendor));
        world
    }

    /// Its folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The file `<name>.yaml`.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.yaml"))
    }

    /// Replaces `<name>.yaml` in one step by these objects (JSON is YAML).
    pub fn put(&self, name: &str, objects: &[Value]) {
        let documents: Vec<String> = objects.iter().map(Value::to_string).collect();
        self.put_text(name, &format!("{}\n", documents.join("\n---\n")));
    }

    /// Replaces `<name>.yaml` in one step by this text.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn put_text(&self, name: &str, text: &str) {
        let fresh = self.dir.path().join(format!(".{name}.tmp"));
        std::fs::write(&fresh, text).expect("a resource file");
        std::fs::rename(fresh, self.file(name)).expect("an atomic rename");
    }

    /// Removes `<name>.yaml`.
    ///
    /// # Panics
    /// When it is not there.
    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.file(name)).expect("the file to remove");
    }
}

/// An object of this product.
#[must_use]
pub fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "smartflow.dev/v1alpha1", "kind": kind,
        "metadata": {"name": name, "namespace": "default"}, "spec": spec,
    })
}

/// A Secret that may be used as a credential.
#[must_use]
pub fn secret(name: &str, key: &str, value: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": name, "namespace": "default", "labels": {"smartflow.dev/credential": "true"}},
        "stringData": {key: value},
    })
}

/// Provider `vendor` and its Secret. Prices are those of [`crate::money`]; `mock-dear` is `mock-large` at 3 and 15.
#[must_use]
pub fn provider(vendor: &Vendor) -> Vec<Value> {
    let price = json!({"input": "1", "cachedInput": "0.25", "output": "4"});
    let chat = |name: &str, most: u32| json!({"name": name, "price": price, "contextWindow": 2_000_000, "maxOutput": most, "imageTokens": 765});
    let mut reason = chat("mock-reason", 100_000);
    reason["hiddenOutput"] = json!("Reasoning");
    let mut dear = chat("mock-dear", 128_000);
    dear["upstreamName"] = json!("mock-large");
    dear["price"] = json!({"input": "3", "output": "15"});
    let embed = json!({"name": "mock-embed", "kind": "Embedding", "price": {"input": "0.1"}});
    let spec = json!({
        "provider": "openai-compatible",
        "baseURL": vendor.base_url(),
        "auth": {"apiKey": {"secretRef": {"name": "vendor", "key": "token"}}},
        "network": {"allowPrivate": true},
        "timeouts": {"connect": "2s", "firstByte": "5s", "idle": "5s", "total": "60s"},
        "models": [chat("mock-small", 16_384), chat("mock-large", 128_000), dear, reason, embed],
    });
    vec![secret("vendor", "token", vendor.key()), object("LLMProvider", "vendor", spec)]
}

/// Provider `claude` and its Secret, for a vendor that speaks Anthropic's format. Prices are those of [`crate::money`].
#[must_use]
pub fn anthropic_provider(vendor: &Vendor) -> Vec<Value> {
    let dear = json!({"input": "3", "cachedInput": "0.3", "cacheWrite": "3.75", "output": "15"});
    let cheap = json!({"input": "1", "cachedInput": "0.25", "output": "4"});
    let chat = |name: &str, price: &Value, most: u32| json!({"name": name, "price": price, "contextWindow": 2_000_000, "maxOutput": most, "imageTokens": 765, "structuredOutput": true});
    let mut large = chat("mock-claude", &dear, 64_000);
    large["thinking"] = json!("Budget");
    let spec = json!({
        "provider": "anthropic-compatible",
        "baseURL": vendor.base_url(),
        "auth": {"apiKey": {"secretRef": {"name": "claude", "key": "token"}}},
        "network": {"allowPrivate": true},
        "timeouts": {"connect": "2s", "firstByte": "5s", "idle": "5s", "total": "60s"},
        "models": [large, chat("mock-haiku", &cheap, 8_192)],
    });
    vec![secret("claude", "token", vendor.key()), object("LLMProvider", "claude", spec)]
}

/// A token that passes for a virtual key's, made of a name.
#[must_use]
pub fn token(name: &str) -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(name.as_bytes());
    let hex: String = digest.iter().take(24).map(|b| format!("{b:02x}")).collect();
    format!("sk-sf-{hex}")
}

/// VirtualKey `name` for all models, its token [`token`]`(name)` in a Secret beside it; `extra` is merged into the spec.
#[must_use]
pub fn key(name: &str, extra: &Value) -> Vec<Value> {
    let mut spec = json!({"models": ["*"], "existingSecretRef": {"name": name, "key": "token"}});
    for (field, value) in extra.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    vec![secret(name, "token", &token(name)), object("VirtualKey", name, spec)]
}

/// A budget of so many dollars, for ever.
#[must_use]
pub fn budget(limit: &str) -> Value {
    json!({"budget": {"limitUSD": limit, "period": "Lifetime"}})
}
