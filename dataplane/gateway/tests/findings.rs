//! What is logged of findings: each once, with its place.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod folder;

use folder::*;
use serde_json::Value;
use smartflow_gateway::findings::tell_new;
use smartflow_gateway::source::World;
use std::io::Write;
use std::sync::{Arc, Mutex};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The lines that are logged when `new` follows `old`.
fn logged(old: Option<&World>, new: &World) -> Vec<Value> {
    let lines = Lines::default();
    let writer = lines.clone();
    let log = tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone());
    tracing::subscriber::with_default(log.finish(), || tell_new(old, new));
    let bytes = lines.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// A key that grants a model that does not exist.
fn granting(name: &str) -> String {
    key(name, "").replace("[\"*\"]", "[nothing]")
}

#[test]
fn each_new_finding_is_told_once_with_its_place_and_fix() {
    let folder = Folder::new();
    folder.write("a.yaml", &[provider("p"), granting("typo")].concat());
    folder.write("b.yaml", &policy("strict", "alice", "many"));
    let source = folder.start();
    let first = logged(None, &source.world);
    let text = |line: &Value, field: &str| line[field].as_str().unwrap_or_default().to_owned();
    let told: Vec<_> = first.iter().map(|l| (text(l, "level"), text(l, "file"), text(l, "object"))).collect();
    let line = |file: &str, object: &str| ("WARN".to_owned(), file.to_owned(), object.to_owned());
    assert_eq!(told, [line("a.yaml", "VirtualKey default/typo"), line("b.yaml", "Policy default/strict")]);
    assert_eq!(
        (text(&first[0], "field"), text(&first[0], "severity")),
        ("spec.models".to_owned(), "warning".to_owned())
    );
    assert!(
        first[0]["line"].as_u64().is_some_and(|n| n > 8),
        "placed although it came up in compiling: {first:?}"
    );
    assert!(text(&first[0], "message").contains("nothing") && !text(&first[0], "fix").is_empty());
    assert_eq!(text(&first[1], "reason"), "WrongType");

    // What was told is not told again, also when it moves within its file; what comes up is.
    folder.write("b.yaml", &["# moved\n\n", &policy("strict", "alice", "many")].concat());
    folder.write("c.yaml", "a: [\n");
    let then = logged(Some(&source.world), &folder.start().world);
    let places: Vec<_> = then.iter().map(|l| (text(l, "file"), l["line"].clone())).collect();
    assert_eq!(places, [("c.yaml".to_owned(), Value::from(1))]);
    let again = folder.start();
    assert!(logged(Some(&again.world), &folder.start().world).is_empty());
}

#[test]
fn what_is_told_of_one_change_is_bounded() {
    let folder = Folder::new();
    let keys: Vec<String> = (0..150).map(|n| granting(&format!("k{n}"))).collect();
    folder.write("a.yaml", &keys.concat());
    let source = folder.start();
    let told = logged(None, &source.world);
    assert_eq!(told.len(), 101);
    assert_eq!(told[100]["more"], 50);
}
