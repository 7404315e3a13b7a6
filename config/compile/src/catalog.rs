//! The catalog of providers: `config/catalog/*.yaml`, embedded.

use crate::yaml;
use serde::Deserialize;
use smartflow_crds::{Model, OutputCap};
use smartflow_snapshot::Habit;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// One provider that is known by name.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Entry {
    /// Name that resources write in `spec.provider`.
    pub name: String,
    /// Name for people.
    pub title: String,
    /// Its documentation.
    #[serde(default)]
    pub docs: Option<String>,
    /// Where prices and limits were read.
    #[serde(default)]
    pub source: Option<String>,
    /// When they were read, `YYYY-MM-DD`.
    #[serde(default)]
    pub date: Option<String>,
    /// Where its API is.
    #[serde(rename = "baseURL", default)]
    pub base_url: Option<String>,
    /// What it speaks.
    #[serde(default)]
    pub protocol: EntryProtocol,
    /// How it wants calls to be authenticated.
    pub auth: EntryAuth,
    /// Environment variable in which people usually have its key.
    #[serde(default)]
    pub env_key: Option<String>,
    /// What it calls the cap on output tokens.
    #[serde(default)]
    pub output_cap: OutputCap,
    /// What it does otherwise than others who speak the same.
    #[serde(default)]
    pub habits: Vec<Habit>,
    /// Its models.
    #[serde(default)]
    pub models: Vec<Model>,
}

/// What a provider speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
pub enum EntryProtocol {
    /// OpenAI's API.
    #[default]
    OpenAi,
    /// Anthropic's API.
    Anthropic,
}

/// How a provider wants calls to be authenticated.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum EntryAuth {
    /// By a key in a header.
    ApiKey {
        /// The header.
        header: String,
        /// What precedes the key.
        #[serde(default)]
        prefix: String,
    },
    /// Not at all.
    None {},
}

const FILES: [&str; 11] = [
    include_str!("../../catalog/anthropic.yaml"),
    include_str!("../../catalog/deepseek.yaml"),
    include_str!("../../catalog/fireworks.yaml"),
    include_str!("../../catalog/groq.yaml"),
    include_str!("../../catalog/mistral.yaml"),
    include_str!("../../catalog/ollama.yaml"),
    include_str!("../../catalog/openai.yaml"),
    include_str!("../../catalog/openrouter.yaml"),
    include_str!("../../catalog/together.yaml"),
    include_str!("../../catalog/vllm.yaml"),
    include_str!("../../catalog/xai.yaml"),
];

static CATALOG: OnceLock<BTreeMap<String, Entry>> = OnceLock::new();

/// All entries by name, read on first use and kept.
pub fn catalog() -> &'static BTreeMap<String, Entry> {
    CATALOG.get_or_init(|| {
        FILES.iter().filter_map(|text| read(text).ok()).map(|e| (e.name.clone(), e)).collect()
    })
}

/// Reads one file. The embedded files are data of this program: a test fails when one cannot be read.
fn read(text: &str) -> Result<Entry, String> {
    yaml::check(text).map_err(|f| f.to_string())?;
    let (tree, findings) =
        yaml::Documents::of(text).next().ok_or("no document")?.map_err(|f| f.to_string())?;
    match findings.first() {
        Some(finding) => Err(finding.to_string()),
        None => serde_json::from_value(tree.value()).map_err(|e| e.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;

    #[test]
    fn every_file_is_embedded_and_reads() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../catalog");
        let files = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path());
        let mut seen = 0;
        for path in files.filter(|p| p.extension().is_some_and(|e| e == "yaml")) {
            let entry = read(&std::fs::read_to_string(&path).unwrap()).unwrap();
            assert_eq!(entry.name, path.file_stem().unwrap().to_str().unwrap());
            assert!(catalog().contains_key(&entry.name), "{} is not embedded", entry.name);
            assert!(entry.docs.is_some(), "{}: docs", entry.name);
            assert!(
                entry.models.is_empty() || (entry.source.is_some() && entry.date.is_some()),
                "{}",
                entry.name
            );
            seen += 1;
        }
        assert_eq!(seen, FILES.len());
    }

    /// What the catalog says could be written in a resource as it stands.
    #[test]
    fn every_model_passes_the_schema_of_a_resource() {
        let mut models = 0;
        for text in FILES {
            let (tree, _) = yaml::Documents::of(text).next().unwrap().unwrap();
            for mut model in tree.value()["models"].as_array().unwrap().iter().cloned() {
                let findings = schema::check_part("LLMProvider", &["models", "[]"], &mut model);
                assert_eq!(findings, [], "{} in {}", model["name"], tree.value()["name"]);
                models += 1;
            }
        }
        assert!(models > 50);
    }
}
