//! The committed definitions are those of the types.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

#[test]
fn committed_files_match_the_types() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("yaml");
    let mut expected = Vec::new();
    for definition in smartflow_crds::all().unwrap() {
        let name = format!("{}.yaml", definition.spec.names.plural);
        let text = smartflow_crds::yaml(&definition).unwrap();
        assert!(text.len() < 200 * 1024, "{name} is {} bytes", text.len());
        let present = std::fs::read_to_string(folder.join(&name)).unwrap_or_default();
        assert!(present == text, "crds/yaml/{name} is out of date: run `cargo xtask crds`");
        expected.push(name);
    }
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, expected, "crds/yaml holds exactly the definitions");
}

#[test]
fn the_same_types_make_the_same_bytes() {
    let once = || {
        smartflow_crds::all().unwrap().iter().map(|d| smartflow_crds::yaml(d).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(once(), once());
}
