//! A sequence of changes leaves what compiling the outcome at once gives: snapshot, hash, and every report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[allow(dead_code)]
mod declare;

use declare::edit::{Edit, edit};
use declare::name;
use proptest::prelude::*;
use smartflow_compile::{Change, Compiler, Object, ObjectRef, Report, Resources, Settings, compile};
use std::collections::BTreeMap;

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn incremental_is_full(batches in prop::collection::vec(prop::collection::vec(edit(), 1..5), 1..14)) {
        let settings = Settings::default();
        let mut compiler = Compiler::new(&settings);
        let mut resources = Resources::default();
        let mut told: BTreeMap<ObjectRef, Report> = BTreeMap::new();
        for batch in batches {
            let changes: Vec<Change> = batch.iter().map(Edit::change).collect();
            for change in &changes {
                match change {
                    Change::Set(object) => drop(resources.insert(Object::clone(object))),
                    Change::Remove(id) => {
                        resources.remove(id);
                        told.remove(id);
                    }
                }
            }
            let step = compiler.apply(changes);
            told.extend(step.reports.into_iter().map(|r| (r.object.clone(), r)));
            let full = compile(&resources, &settings);
            let text = |s| serde_json::to_string_pretty(s).unwrap();
            prop_assert_eq!(text(&step.snapshot), text(&full.snapshot));
            prop_assert_eq!(step.snapshot.hash, full.snapshot.hash);
            let mut now: Vec<Report> = compiler.objects().filter_map(|id| compiler.report(&id)).collect();
            now.sort_by(|a, b| a.object.cmp(&b.object));
            prop_assert_eq!(&now, &full.reports);
            prop_assert_eq!(told.values().cloned().collect::<Vec<_>>(), full.reports);
        }
    }
}

/// The property would hold of a compiler that compiles nothing: what the edits make is not trivial.
#[test]
fn the_edits_reach_what_they_should() {
    let edit =
        |kind, look, detail, name| Edit { kind, place: 1, name, look, detail, broken: 3, remove: false };
    let objects = [
        edit(0, 0, 4, 0),
        edit(0, 0, 4, 1),
        edit(3, 1, 0, 1),
        edit(3, 1, 0, 2),
        edit(3, 3, 3, 2),
        edit(9, 0, 3, 0),
    ];
    let compiled = declare::world(objects.iter().map(Edit::object));
    assert_eq!(compiled.snapshot.providers.len(), 2);
    assert!(compiled.snapshot.names.resolve("team-a", "simulated-a").is_none(), "a clash");
    assert!(compiled.snapshot.keys_by_name.get(&name("team-a", "k1")).is_some());
}

/// The same for chains.
#[test]
fn the_edits_reach_chains() {
    let edit =
        |kind, look, detail, name| Edit { kind, place: 1, name, look, detail, broken: 3, remove: false };
    let objects =
        [edit(0, 0, 4, 0), edit(0, 0, 4, 1), edit(11, 0, 1, 0), edit(11, 1, 1, 1), edit(11, 1, 1, 2)];
    let compiled = declare::world(objects.iter().map(Edit::object));
    assert_eq!(compiled.snapshot.chains.len(), 3);
    let owner = |n| compiled.snapshot.names.resolve("team-a", n).map(|m| m.owner().to_string());
    assert_eq!(
        owner("simulated-a"),
        Some("team-a/c0".to_owned()),
        "an exact name goes before models that clash"
    );
    assert_eq!(owner("fast"), None, "a clash of chains");
}
