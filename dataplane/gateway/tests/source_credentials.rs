//! Credentials: Secrets in the folder, references to the environment and to files, and tokens that are made.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod folder;

use folder::*;
use smartflow_compile::{Kind, Reason};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

#[test]
fn secrets_in_the_folder_plain_and_base64() {
    let folder = Folder::new();
    let encoded = secret("b", "aHVudGVyMi1i").replace("stringData", "data");
    folder.write(
        "a.yaml",
        &[provider_with_key("a"), secret("a", "hunter2-a"), provider_with_key("b"), encoded].concat(),
    );
    let source = folder.start();
    assert_eq!(credential(&source.world, "a").unwrap().open(), "hunter2-a");
    assert_eq!(credential(&source.world, "b").unwrap().open(), "hunter2-b");
}

#[test]
fn a_secret_without_the_label_opens_nothing() {
    let folder = Folder::new();
    let closed = secret("a", "hunter2").replace(", labels: {smartflow.dev/credential: \"true\"}", "");
    folder.write("a.yaml", &[provider_with_key("a"), closed].concat());
    let mut source = folder.start();
    assert!(credential(&source.world, "a").is_none());
    let found = findings(&source.world, Kind::LLMProvider, "a");
    let finding = found.iter().find(|f| f.reason == Reason::SecretNotLabelled).unwrap();
    assert!(finding.fix.contains("smartflow.dev/credential: \"true\""));
    folder.write("a.yaml", &[provider_with_key("a"), secret("a", "hunter2")].concat());
    source.until("the label", |w| credential(w, "a").is_some());
}

#[test]
fn the_environment() {
    let folder = Folder::new();
    folder.set("VENDOR_KEY", "hunter2-env");
    folder.write("a.yaml", &[provider_with_key("a"), secret("a", "env://VENDOR_KEY")].concat());
    folder.write("b.yaml", &[provider_with_key("b"), secret("b", "env://MISSING_KEY")].concat());
    let source = folder.start();
    assert_eq!(credential(&source.world, "a").unwrap().open(), "hunter2-env");
    assert!(credential(&source.world, "b").is_none());
    let found = findings(&source.world, Kind::LLMProvider, "b");
    let finding = found.iter().find(|f| f.reason == Reason::SecretUnresolved).unwrap();
    assert!(finding.message.contains("MISSING_KEY") && finding.fix.contains("MISSING_KEY"), "{finding:?}");
    assert!(
        has(&findings(&source.world, Kind::Secret, "b"), Reason::SecretUnresolved),
        "on the Secret as well"
    );
}

#[test]
fn files_are_followed_as_they_change() {
    let folder = Folder::new();
    let outside = folder.outside("vendor.key");
    fs::write(&outside, "hunter2-1\n").unwrap();
    folder.write("relative.key", "hunter2-r");
    folder.write(
        "a.yaml",
        &[provider_with_key("a"), secret("a", &format!("file://{}", outside.display()))].concat(),
    );
    folder.write("r.yaml", &[provider_with_key("r"), secret("r", "file://relative.key")].concat());
    let mut source = folder.start();
    let value = |w: &smartflow_gateway::source::World, p: &str| credential(w, p).map(|s| s.open().to_owned());
    assert_eq!(value(&source.world, "a").as_deref(), Some("hunter2-1"));
    assert_eq!(value(&source.world, "r").as_deref(), Some("hunter2-r"));

    fs::write(&outside, "hunter2-2\n").unwrap();
    source.until("the new value", |w| value(w, "a").as_deref() == Some("hunter2-2"));
    fs::remove_file(&outside).unwrap();
    source.until("its end", |w| value(w, "a").is_none());
    assert!(has(&findings(&source.world, Kind::LLMProvider, "a"), Reason::SecretUnresolved));
    fs::write(&outside, "hunter2-3").unwrap();
    source.until("its return", |w| value(w, "a").as_deref() == Some("hunter2-3"));
    // A file that is not YAML any more does not hold on to a credential that was taken away.
    folder.write("a.yaml", "{");
    source.until("the fault", |w| !w.files.is_empty());
    fs::remove_file(&outside).unwrap();
    source.until("its end again", |w| value(w, "a").is_none());
    assert_eq!(value(&source.world, "r").as_deref(), Some("hunter2-r"));
}

/// As kubelet mounts a Secret: `key -> ..data/key`, and `..data` is replaced by a rename.
#[test]
fn a_mounted_secret_that_is_swapped() {
    let folder = Folder::new();
    let mount = folder.outside("mount");
    for version in ["1", "2"] {
        fs::create_dir_all(mount.join(format!("..v{version}"))).unwrap();
        fs::write(mount.join(format!("..v{version}/key")), format!("hunter2-{version}")).unwrap();
    }
    symlink("..v1", mount.join("..data")).unwrap();
    symlink("..data/key", mount.join("key")).unwrap();
    folder.write(
        "a.yaml",
        &[provider_with_key("a"), secret("a", &format!("file://{}/key", mount.display()))].concat(),
    );
    let mut source = folder.start();
    assert_eq!(credential(&source.world, "a").unwrap().open(), "hunter2-1");
    symlink("..v2", mount.join("..next")).unwrap();
    fs::rename(mount.join("..next"), mount.join("..data")).unwrap();
    source.until("the other value", |w| credential(w, "a").is_some_and(|s| s.open() == "hunter2-2"));
}

#[test]
fn a_token_is_made_once_and_kept() {
    let folder = Folder::new();
    folder.write(
        "k.yaml",
        &[key("alice", ""), key("own", &format!("  sha256: {}\n", "0".repeat(64)))].concat(),
    );
    let mut source = folder.start();
    let keys = &source.world.generated_keys;
    assert_eq!(keys.iter().map(|k| k.name.clone()).collect::<Vec<_>>(), [name("alice")]);
    let path = folder.data("keys/default/alice.token");
    assert_eq!(keys[0].path, path);
    let (text, hash) = token(&path);
    assert_eq!(source.world.snapshot.keys.get(&hash).unwrap().name, name("alice"));
    assert!(!format!("{:?}", source.world).contains(&text), "the token is in the file only");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);

    folder.write("k.yaml", &[key("alice", "  disabled: false\n"), key("bob", "")].concat());
    source.until("another key", |w| w.generated_keys.len() == 2);
    assert_eq!(source.world.snapshot.keys.get(&hash).unwrap().name, name("alice"));
    source.stop();
    let source = folder.start();
    assert_eq!(token(&path).0, text);
    assert_eq!(source.world.snapshot.keys.get(&hash).unwrap().name, name("alice"));
}

#[test]
fn a_token_file_that_holds_something_else_is_told() {
    let folder = Folder::new();
    fs::create_dir_all(folder.data("keys/default")).unwrap();
    fs::write(folder.data("keys/default/alice.token"), "hunter2").unwrap();
    folder.write("k.yaml", &key("alice", ""));
    let source = folder.start();
    assert!(has(&findings(&source.world, Kind::VirtualKey, "alice"), Reason::TokenPending));
    let faults = source.world.data_faults.join(" ");
    assert!(faults.contains("alice.token") && !faults.contains("hunter2"), "{faults}");
}

#[test]
fn what_is_kept_is_readable_by_its_owner_only() {
    let folder = Folder::new();
    folder.write("a.yaml", &[provider_with_key("a"), secret("a", "hunter2"), key("k", "")].concat());
    let mut source = folder.start();
    folder.write(
        "a.yaml",
        &[provider_with_key("a"), secret("a", "hunter2"), key("k", "  limitz: {}\n")].concat(),
    );
    source.until("a spec that is kept", |w| !w.faulty.is_empty());
    source.stop();
    let mut files = 0;
    let mut folders = vec![folder.data("keys"), folder.data("last-good"), folder.data("last-read")];
    while let Some(path) = folders.pop() {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700, "{}", path.display());
        for entry in fs::read_dir(&path).unwrap().map(|e| e.unwrap()) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
                continue;
            }
            assert_eq!(
                entry.metadata().unwrap().permissions().mode() & 0o777,
                0o600,
                "{}",
                entry.path().display()
            );
            files += 1;
        }
    }
    assert!(files >= 3, "{files}");
}

#[test]
fn a_generated_token_is_kept_by_the_name_of_its_secret() {
    let folder = Folder::new();
    folder.write("a.yaml", &[key("alice", "  secretName: laptop\n"), key("bob", "")].concat());
    let mut source = folder.start();
    let paths = |w: &smartflow_gateway::source::World| {
        w.generated_keys.iter().map(|k| (k.name.name.to_string(), k.path.clone())).collect::<Vec<_>>()
    };
    let (laptop, bob) = (folder.data("keys/default/laptop.token"), folder.data("keys/default/bob.token"));
    assert_eq!(paths(&source.world), [("alice".to_owned(), laptop.clone()), ("bob".to_owned(), bob.clone())]);
    let (_, hash) = token(&laptop);
    assert_eq!(source.world.snapshot.keys.get(&hash).unwrap().name, name("alice"));

    // Another Secret, another token; the old one opens nothing.
    folder.write(
        "a.yaml",
        &[key("alice", "  secretName: phone\n"), key("bob", "  secretName: phone\n")].concat(),
    );
    source.until("the other one", |w| w.snapshot.keys.get(&hash).is_none());
    let phone = folder.data("keys/default/phone.token");
    assert_eq!(
        paths(&source.world),
        [("alice".to_owned(), phone.clone()), ("bob".to_owned(), phone.clone())]
    );
    assert_eq!(source.world.snapshot.keys.get(&token(&phone).1).unwrap().name, name("alice"));
    assert!(
        has(&findings(&source.world, Kind::VirtualKey, "bob"), Reason::TokenInUse),
        "two keys, one Secret"
    );
}
