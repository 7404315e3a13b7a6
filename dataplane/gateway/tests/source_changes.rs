//! Every way in which files change is seen, and what is there in the end is what serves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod folder;

use folder::*;
use smartflow_gateway::source::{Files, SourceError};
use std::fs;
use std::os::unix::fs::symlink;

fn at(version: usize) -> String {
    format!("https://v{version}.example.com/v1")
}

#[test]
fn new_files_new_folders_and_other_names() {
    let folder = Folder::new();
    let mut source = folder.start();
    assert!(source.world.snapshot.providers.is_empty());
    folder.write("a.yaml", &provider("a"));
    source.until("a new file", |w| url(w, "a").is_some());
    fs::create_dir_all(folder.path("team/deep")).unwrap();
    folder.write("team/deep/b.yml", &provider("b"));
    source.until("a file in a new folder", |w| url(w, "b").is_some());
    folder.write("team/deep/b.yml", &provider_at("b", &at(2)));
    source.until("a change in it", |w| url(w, "b") == Some(at(2)));
    fs::rename(folder.path("team/deep/b.yml"), folder.path("team/b.txt")).unwrap();
    source.until("a name that is not YAML", |w| url(w, "b").is_none());
    fs::rename(folder.path("team/b.txt"), folder.path("b.yaml")).unwrap();
    source.until("its way back", |w| url(w, "b") == Some(at(2)));
    fs::rename(folder.path("a.yaml"), folder.path("z.yaml")).unwrap();
    folder.write("z.yaml", &provider_at("a", &at(3)));
    source.until("another name", |w| url(w, "a") == Some(at(3)) && w.files.is_empty());
    fs::remove_dir_all(folder.path("team")).unwrap();
    folder.write("c.yaml", &provider("c"));
    source.until("life after a folder is gone", |w| url(w, "c").is_some());
}

#[test]
fn atomic_replacement() {
    let folder = Folder::new();
    folder.write("a.yaml", &provider_at("a", &at(0)));
    let mut source = folder.start();
    for version in 1..20 {
        folder.replace("a.yaml", &provider_at("a", &at(version)));
        source.until("the new version", |w| url(w, "a") == Some(at(version)));
    }
}

/// As kubelet does it: `a.yaml -> ..data/a.yaml`, `..data -> ..<time>`, and `..data` is replaced by a rename.
#[test]
fn a_config_map_that_is_swapped() {
    let folder = Folder::new();
    let publish = |version: usize, files: &[(&str, String)]| {
        let data = format!("..2026_{version}");
        fs::create_dir_all(folder.path(&data).join("team")).unwrap();
        for (name, text) in files {
            fs::write(folder.path(&data).join(name), text).unwrap();
        }
        symlink(&data, folder.path("..data_tmp")).unwrap();
        fs::rename(folder.path("..data_tmp"), folder.path("..data")).unwrap();
        if version > 0 {
            fs::remove_dir_all(folder.path(&format!("..2026_{}", version - 1))).unwrap();
        }
    };
    publish(0, &[("a.yaml", provider_at("a", &at(0))), ("team/b.yaml", provider_at("b", &at(0)))]);
    symlink("..data/a.yaml", folder.path("a.yaml")).unwrap();
    symlink("..data/team", folder.path("team")).unwrap();
    let mut source = folder.start();
    assert_eq!((url(&source.world, "a"), url(&source.world, "b")), (Some(at(0)), Some(at(0))));
    for version in 1..10 {
        publish(
            version,
            &[("a.yaml", provider_at("a", &at(version))), ("team/b.yaml", provider_at("b", &at(version)))],
        );
        source.until("the swap", |w| url(w, "a") == Some(at(version)) && url(w, "b") == Some(at(version)));
    }
    publish(10, &[("a.yaml", provider_at("a", &at(10)))]);
    source.until("a file that is no more", |w| url(w, "a") == Some(at(10)) && url(w, "b").is_none());
}

#[test]
fn a_folder_that_is_a_link_and_swapped_as_a_whole() {
    let folder = Folder::new();
    for version in [1, 2] {
        let path = folder.outside(&format!("v{version}"));
        fs::create_dir(&path).unwrap();
        fs::write(path.join("a.yaml"), provider_at("a", &at(version))).unwrap();
    }
    fs::remove_dir(folder.path("")).unwrap();
    symlink("v1", folder.outside("world")).unwrap();
    let mut source = folder.start();
    assert_eq!(url(&source.world, "a"), Some(at(1)));
    symlink("v2", folder.outside("next")).unwrap();
    fs::rename(folder.outside("next"), folder.outside("world")).unwrap();
    source.until("the other folder", |w| url(w, "a") == Some(at(2)));
    fs::write(folder.outside("v2/a.yaml"), provider_at("a", &at(3))).unwrap();
    source.until("a change in it", |w| url(w, "a") == Some(at(3)));
}

#[test]
fn a_thousand_rapid_rewrites_end_in_the_last_content() {
    let folder = Folder::new();
    folder.write("a.yaml", &provider_at("a", &at(0)));
    folder.write("b.yaml", &provider_at("b", &at(0)));
    let mut source = folder.start();
    for version in 1..=1000 {
        folder.write("a.yaml", &provider_at("a", &at(version)));
        folder.replace("b.yaml", &provider_at("b", &at(version)));
    }
    source.until("the last content", |w| url(w, "a") == Some(at(1000)) && url(w, "b") == Some(at(1000)));
    source.stop();
    let source = folder.start();
    assert_eq!((url(&source.world, "a"), url(&source.world, "b")), (Some(at(1000)), Some(at(1000))));
}

#[test]
fn rewriting_a_file_in_place_never_takes_its_objects_away() {
    let folder = Folder::new();
    folder.write("a.yaml", &key("k", ""));
    let mut source = folder.start();
    for i in 0..300 {
        folder.write("a.yaml", &key("k", &format!("  limits: {{requestsPerMinute: {}}}\n", i + 1)));
    }
    let rate = |w: &smartflow_gateway::source::World| {
        let key = w.snapshot.keys_by_name.get(&name("k")).expect("the key is there all the time");
        key.limits.as_ref().and_then(|l| l.requests_per_minute).map(|n| n.get())
    };
    source.until("the last rate", |w| rate(w) == Some(300));
}

#[test]
fn a_folder_that_is_not_there() {
    let folder = Folder::new();
    fs::remove_dir(folder.path("")).unwrap();
    let refused = Files::open(&folder.options()).err().unwrap();
    assert!(matches!(refused, SourceError::World { .. }));
    assert!(refused.to_string().contains("world"));
}
