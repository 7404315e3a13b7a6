//! The sample worlds compile to what is kept beside them. `UPDATE_GOLDEN=1 cargo test -p smartflow-compile --test samples`
//! writes it anew; the diff is then read by people.
//!
//! References (`env://...`) are not followed here, and a key without a token of its own gets one made from its name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods, missing_docs)]

use serde_json::{Value, json};
use smartflow_compile::{
    Compiled, Finding, Object, Programmed, Report, Resources, Settings, compile, load, locate,
};
use smartflow_snapshot::TokenHash;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

struct World {
    folder: PathBuf,
    texts: BTreeMap<String, String>,
    strays: Vec<(String, Finding)>,
    objects: Vec<(String, Object)>,
}

fn world(name: &str) -> World {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples").join(name);
    let mut world = World { folder, texts: BTreeMap::new(), strays: Vec::new(), objects: Vec::new() };
    for file in std::fs::read_dir(&world.folder).unwrap().map(|f| f.unwrap().path()) {
        if file.extension().is_some_and(|e| e == "yaml") {
            let name = file.file_name().unwrap().to_str().unwrap().to_owned();
            world.texts.insert(name, std::fs::read_to_string(&file).unwrap());
        }
    }
    for (file, text) in &world.texts {
        match load(text) {
            Ok(loaded) => {
                world.strays.extend(loaded.findings.into_iter().map(|f| (file.clone(), f)));
                world.objects.extend(loaded.objects.into_iter().map(|o| (file.clone(), with_token(o))));
            }
            Err(finding) => world.strays.push((file.clone(), finding)),
        }
    }
    world
}

fn with_token(object: Object) -> Object {
    let token = TokenHash::of(object.id().to_string().as_bytes());
    if object.needs_token() { object.with_token(token) } else { object }
}

impl World {
    fn compile(&self) -> Compiled {
        let resources: Resources = self.objects.iter().map(|(_, o)| o.clone()).collect();
        compile(&resources, &Settings::default())
    }

    fn report(&self, report: &Report) -> Value {
        let (file, _) = self.objects.iter().find(|(_, o)| *o.id() == report.object).unwrap();
        let mut report = report.clone();
        for finding in report.findings.iter_mut().filter(|f| f.at.is_none()) {
            finding.at = locate(&self.texts[file], &report.object, &finding.path);
            assert!(finding.at.is_some());
        }
        json!({ "file": file, "report": report, "conditions": report.conditions(&Programmed::Yes) })
    }

    fn reports(&self, compiled: &Compiled) -> Value {
        let strays: Vec<Value> =
            self.strays.iter().map(|(file, f)| json!({ "file": file, "finding": f })).collect();
        let reports: Vec<Value> = compiled.reports.iter().map(|r| self.report(r)).collect();
        json!({ "documents": strays, "objects": reports })
    }
}

fn golden(name: &str) -> (World, Compiled) {
    let world = world(name);
    let compiled = world.compile();
    for (file, value) in
        [("snapshot.json", json!(compiled.snapshot)), ("reports.json", world.reports(&compiled))]
    {
        let path = world.folder.join("expected").join(file);
        let text = serde_json::to_string_pretty(&value).unwrap() + "\n";
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
        } else {
            let kept = std::fs::read_to_string(&path).unwrap();
            assert!(kept == text, "{} differs; UPDATE_GOLDEN=1 writes it anew", path.display());
        }
    }
    (world, compiled)
}

/// Everything is ready, and nothing is even worth a warning.
fn sound(name: &str) -> Compiled {
    let (world, compiled) = golden(name);
    assert!(world.strays.is_empty());
    for report in &compiled.reports {
        assert!(report.is_ready() && report.findings.is_empty(), "{report:?}");
    }
    compiled
}

#[test]
fn every_sample_has_a_test_here() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples");
    let folders = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).filter(|p| p.is_dir());
    let mut names: Vec<_> = folders.map(|p| p.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(names, ["broken", "failover", "openai", "quickstart", "team"]);
}

#[test]
fn quickstart() {
    let compiled = sound("quickstart");
    assert_eq!(compiled.snapshot.keys.len(), 2);
    assert!(compiled.snapshot.names.resolve("default", "simulated-chat").is_some());
}

#[test]
fn openai() {
    sound("openai");
}

#[test]
fn team() {
    let compiled = sound("team");
    let names = &compiled.snapshot.names;
    assert!(names.resolve("team-red", "gpt-5").is_some() && names.resolve("team-blue", "gpt-5").is_none());
    assert!(
        names.resolve("team-blue", "default").is_some() && names.resolve("team-red", "default").is_none()
    );
}

#[test]
fn failover() {
    let compiled = sound("failover");
    let names = &compiled.snapshot.names;
    for (written, chain) in
        [("chat", "default/chat"), ("gpt-5", "default/chat"), ("canary", "default/canary")]
    {
        assert_eq!(names.resolve("default", written).map(|m| m.owner().to_string()).as_deref(), Some(chain));
    }
    let (_, app) = compiled.snapshot.keys.iter().next().unwrap();
    assert!(app.models.allows("chat") && !app.models.allows("first/simulated-chat"));
}

#[test]
fn broken() {
    let (world, compiled) = golden("broken");
    let left: Vec<String> = compiled.snapshot.keys.iter().map(|(_, k)| k.name.name.to_string()).collect();
    assert!(left.contains(&"sound".to_owned()) && left.contains(&"sound-import".to_owned()), "{left:?}");
    assert!(compiled.snapshot.names.resolve("default", "simulated-chat").is_some());
    let sound = ["sound", "sound-import"];
    for report in compiled.reports.iter().filter(|r| !sound.contains(&&*r.object.name.name)) {
        let secret = report.object.kind == smartflow_compile::Kind::Secret;
        assert!(secret || !report.findings.is_empty(), "{report:?}");
    }
    assert_eq!(world.strays.len(), 6);
}
