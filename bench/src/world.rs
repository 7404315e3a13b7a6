//! Folders of resources to measure: the mock as two providers, one for each format, and any number of virtual keys, each with a budget and all
//! four limits, so high that nothing is refused.

use crate::load::Kind;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

/// The chat model that the mock serves in OpenAI's format.
pub const OPENAI_MODEL: &str = "gpt-4o-mini";
/// Its embedding model.
pub const EMBEDDING_MODEL: &str = "text-embedding-3-small";
/// The model that the mock serves in Anthropic's format.
pub const ANTHROPIC_MODEL: &str = "claude-bench";
/// Keys in one file of a large world.
const KEYS_A_FILE: u32 = 1_000;
/// File of the key that calls; small, so that reading it again is not what a change is measured by.
const CALLER: &str = "caller.yaml";

/// The header with which the benchmark's key makes calls of this kind, as the official clients send it.
#[must_use]
pub fn credential(kind: Kind) -> String {
    let name = if kind.is_anthropic() { "x-api-key: " } else { "authorization: Bearer " };
    format!("{name}{}", crate::TOKEN)
}

/// Writes a world of `keys` virtual keys into the empty folder `folder`; the first of them is [`crate::TOKEN`]'s.
///
/// # Errors
/// When a file cannot be written.
pub fn write(folder: &Path, vendor: SocketAddr, keys: u32) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("vendor.yaml"), provider(vendor))?;
    rewrite_caller(folder, 0)?;
    let mut first = 1;
    while first < keys {
        let last = keys.min(first + KEYS_A_FILE);
        let texts: Vec<_> =
            (first..last).map(|n| key(n, &format!("smartflow benchmark key {n}"), 0)).collect();
        fs::write(folder.join(format!("keys-{first:06}.yaml")), texts.join("---\n"))?;
        first = last;
    }
    Ok(())
}

/// Replaces the calling key's file, as an editor does, with limits that differ by `edit`.
///
/// # Errors
/// When the file cannot be written or moved into place.
pub fn rewrite_caller(folder: &Path, edit: u32) -> io::Result<()> {
    let beside = folder.join(".caller.new");
    fs::write(&beside, key(0, crate::TOKEN, edit))?;
    fs::rename(beside, folder.join(CALLER))
}

/// Text of a world for the compiler alone: `providers` with five models each, and `keys` that may call one provider's
/// models, a tenth of them with a parent that also pays.
#[must_use]
pub fn text(providers: u32, keys: u32) -> String {
    let mut parts = Vec::new();
    for provider in 0..providers {
        parts.push(offer(provider));
    }
    for number in 0..keys {
        parts.push(granted(number, providers, 0));
    }
    parts.join("---\n")
}

/// One key of [`text`], with limits that differ by `edit`.
#[must_use]
pub fn granted(number: u32, providers: u32, edit: u32) -> String {
    let token = format!("smartflow benchmark key {number}");
    let models = format!("offer-{:03}-*", number % providers.max(1));
    let text = key(number, &token, edit).replace("models: [\"*\"]", &format!("models: [\"{models}\"]"));
    if number % 10 == 9 { format!("{text}  parentRef: {{name: key-{:06}}}\n", number - 9) } else { text }
}

fn offer(number: u32) -> String {
    let mut text = format!(
        "apiVersion: smartflow.dev/v1alpha1\nkind: LLMProvider\nmetadata: {{name: offer-{number:03}, namespace: default}}\n\
         spec:\n  provider: openai-compatible\n  baseURL: https://offer-{number:03}.example.com/v1\n  \
         auth: {{none: {{}}}}\n  models:\n"
    );
    for model in 0..5 {
        let _ = writeln!(text, "  - name: offer-{number:03}-{model}");
        let _ = writeln!(text, "    price: {{input: \"0.{model}5\", output: \"1.{model}0\"}}");
        let _ = writeln!(text, "    contextWindow: 128000\n    maxOutput: 16384");
    }
    text
}

fn provider(vendor: SocketAddr) -> String {
    format!(
        r#"apiVersion: v1
kind: Secret
metadata: {{name: vendor, namespace: default, labels: {{smartflow.dev/credential: "true"}}}}
stringData: {{key: provider-credential}}
---
apiVersion: smartflow.dev/v1alpha1
kind: LLMProvider
metadata: {{name: vendor, namespace: default}}
spec:
  provider: openai-compatible
  baseURL: http://{vendor}/v1
  auth: {{apiKey: {{secretRef: {{name: vendor, key: key}}}}}}
  network: {{allowPrivate: true}}
  models:
  - name: {OPENAI_MODEL}
    price: {{input: "0.15", cachedInput: "0.075", output: "0.60"}}
    contextWindow: 128000
    maxOutput: 16384
  - name: {EMBEDDING_MODEL}
    kind: Embedding
    price: {{input: "0.02"}}
    contextWindow: 8191
---
apiVersion: smartflow.dev/v1alpha1
kind: LLMProvider
metadata: {{name: vendor-anthropic, namespace: default}}
spec:
  provider: anthropic-compatible
  baseURL: http://{vendor}/v1
  auth: {{apiKey: {{secretRef: {{name: vendor, key: key}}}}}}
  network: {{allowPrivate: true}}
  models:
  - name: {ANTHROPIC_MODEL}
    price: {{input: "1", cachedInput: "0.10", cacheWrite: "1.25", output: "5"}}
    contextWindow: 200000
    maxOutput: 64000
"#
    )
}

fn key(number: u32, token: &str, edit: u32) -> String {
    let mut hash = String::new();
    for byte in Sha256::digest(token) {
        let _ = write!(hash, "{byte:02x}");
    }
    format!(
        r#"apiVersion: smartflow.dev/v1alpha1
kind: VirtualKey
metadata: {{name: key-{number:06}, namespace: default}}
spec:
  owner: {{user: user-{number:06}, team: team-{team:02}}}
  models: ["*"]
  budget: {{limitUSD: "1000000", period: Monthly}}
  limits:
    requestsPerMinute: {requests}
    tokensPerMinute: 2000000000
    maxParallel: 100000
    tokensPerDay: 1000000000000000
  sha256: {hash}
"#,
        team = number % 100,
        requests = 2_000_000_000 - edit,
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_world_has_as_many_keys_as_asked_and_a_change_touches_one_file() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "127.0.0.1:9".parse().unwrap(), 2_500).unwrap();
        let texts = |folder: &Path| {
            let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            let mut texts: Vec<_> = files.map(|file| fs::read_to_string(file).unwrap()).collect();
            texts.sort();
            texts
        };
        let before = texts(folder.path());
        let count = |text: &String| text.matches("kind: VirtualKey").count();
        assert_eq!(before.iter().map(count).sum::<usize>(), 2_500);
        rewrite_caller(folder.path(), 7).unwrap();
        let after = texts(folder.path());
        assert_eq!(before.iter().zip(&after).filter(|(a, b)| a != b).count(), 1);
    }
}
