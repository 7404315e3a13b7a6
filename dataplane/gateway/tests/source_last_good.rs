//! One bad object takes nobody else down; what restricts and what is taken away is obeyed at once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod folder;

use folder::*;
use smartflow_compile::{Kind, Reason, Serving};
use smartflow_snapshot::Effect;

const OLD: &str = "https://old.example.com/v1";

#[test]
fn a_malformed_object_beside_fifty_good_ones() {
    let folder = Folder::new();
    for i in 0..50 {
        folder.write(&format!("p{i}.yaml"), &provider(&format!("p{i}")));
    }
    folder.write("bad.yaml", &provider_at("bad", OLD));
    let mut source = folder.start();
    assert_eq!(source.world.snapshot.providers.len(), 51);
    assert!(source.world.faulty.is_empty() && source.world.files.is_empty());

    folder.write("bad.yaml", &provider_at("bad", "https://new.example.com/v1").replace("baseURL", "bassURL"));
    source.until("the finding", |w| has(&findings(w, Kind::LLMProvider, "bad"), Reason::UnknownField));
    let check = |world: &smartflow_gateway::source::World| {
        let found = findings(world, Kind::LLMProvider, "bad");
        let finding = found.iter().find(|f| f.reason == Reason::UnknownField).unwrap();
        assert_eq!(&*finding.path, "spec.bassURL");
        assert!(finding.fix.contains("baseURL") && finding.at.is_some_and(|at| at.line == 7), "{finding:?}");
        assert_eq!(world.faulty.len(), 1, "only one is reported");
        assert_eq!(world.snapshot.providers.len(), 51, "all serve");
        assert_eq!(url(world, "bad").as_deref(), Some(OLD), "by its last valid spec");
        assert_eq!(serving(world, Kind::LLMProvider, "bad"), Serving::LastGood);
    };
    check(&source.world);
    source.stop();
    let mut source = folder.start();
    check(&source.world);

    folder.write("bad.yaml", &provider_at("bad", "https://new.example.com/v1"));
    source.until("the corrected one", |w| url(w, "bad").as_deref() == Some("https://new.example.com/v1"));
    assert!(source.world.faulty.is_empty());
}

#[test]
fn a_file_that_is_not_yaml_keeps_what_was_last_read_from_it() {
    let folder = Folder::new();
    let good = [provider_with_key("a"), secret("a", "hunter2-key"), policy("p", "alice", "3"), key("k", "")]
        .concat();
    folder.write("all.yaml", &good);
    folder.write("other.yaml", &provider("b"));
    let mut source = folder.start();
    let hash = source.world.snapshot.hash;

    folder.write("all.yaml", &good.replace("spec:\n", "spec: [\n"));
    source.until("the fault", |w| has(&of_file(w, "all.yaml"), Reason::Syntax));
    assert!(of_file(&source.world, "all.yaml")[0].at.is_some());
    assert_eq!(source.world.snapshot.hash, hash, "nothing changed");
    source.stop();
    let mut source = folder.start();
    assert!(has(&of_file(&source.world, "all.yaml"), Reason::Syntax));
    assert_eq!(source.world.snapshot.hash, hash, "nor did a restart change anything");
    assert_eq!(credential(&source.world, "a").unwrap().open(), "hunter2-key");

    folder.write("all.yaml", &provider("c"));
    source.until("the corrected file", |w| url(w, "c").is_some());
    assert_eq!((url(&source.world, "a"), source.world.files.len()), (None, 0));
}

#[test]
fn a_file_that_is_not_text_keeps_what_was_last_read_from_it() {
    let folder = Folder::new();
    folder.write("a.yaml", &provider("a"));
    let mut source = folder.start();
    std::fs::write(folder.path("a.yaml"), [0xff, 0xfe, 0x00]).unwrap();
    source.until("the fault", |w| !of_file(w, "a.yaml").is_empty());
    assert!(of_file(&source.world, "a.yaml")[0].message.contains("UTF-8"));
    assert!(url(&source.world, "a").is_some());
}

#[test]
fn what_is_invalid_from_the_start_is_absent_and_a_policy_closed() {
    let folder = Folder::new();
    folder.write(
        "a.yaml",
        &[provider_at("a", "ftp://x"), policy("p", "alice", "many"), provider("b")].concat(),
    );
    let source = folder.start();
    assert_eq!((url(&source.world, "a"), url(&source.world, "b").is_some()), (None, true));
    assert_eq!(serving(&source.world, Kind::LLMProvider, "a"), Serving::Nothing);
    assert_eq!(serving(&source.world, Kind::Policy, "p"), Serving::Closed);
    assert!(matches!(source.world.snapshot.policies[0].effect, Effect::Closed { .. }));
    source.stop();

    // The file is not even YAML any more, and the gateway restarts: what restricted still does.
    folder.write("a.yaml", "spec: [");
    let source = folder.start();
    assert!(matches!(source.world.snapshot.policies[0].effect, Effect::Closed { .. }));
}

#[test]
fn disabled_and_expiry_beside_a_typo_are_obeyed() {
    let folder = Folder::new();
    folder.write("k.yaml", &key("k", "  limits: {requestsPerMinute: 5}\n"));
    let mut source = folder.start();
    let of = |w: &smartflow_gateway::source::World| w.snapshot.keys_by_name.get(&name("k")).unwrap().clone();
    assert!(!of(&source.world).disabled);

    folder.write("k.yaml", &key("k", "  limitz: {}\n  disabled: true\n"));
    source.until("disabled", |w| of(w).disabled);
    assert_eq!(serving(&source.world, Kind::VirtualKey, "k"), Serving::LastGood);
    assert!(of(&source.world).limits.is_some(), "the rest is that of the last valid spec");
    source.stop();
    let mut source = folder.start();
    assert!(of(&source.world).disabled, "after a restart too");

    // Then the file becomes unreadable, and the gateway restarts again.
    folder.write("k.yaml", "{");
    source.until("the fault", |w| !w.files.is_empty());
    source.stop();
    let mut source = folder.start();
    assert!(of(&source.world).disabled, "even when the file is not YAML any more");

    folder.write("k.yaml", &key("k", "  limitz: {}\n  expiresAt: 2026-01-01T00:00:00Z\n"));
    source.until("expiry", |w| of(w).expires_at.is_some());
    assert_eq!(of(&source.world).expires_at, Some(1_767_225_600));
}

#[test]
fn what_is_deleted_is_gone_at_once() {
    let folder = Folder::new();
    folder.write("a.yaml", &provider_with_key("a"));
    folder.write("secret.yaml", &secret("a", "hunter2-key"));
    folder.write("keys.yaml", &[key("one", ""), key("two", "")].concat());
    let mut source = folder.start();
    assert!(url(&source.world, "a").is_some() && source.world.snapshot.keys_by_name.len() == 2);

    folder.remove("secret.yaml");
    source.until("the provider without its credential", |w| url(w, "a").is_none());
    assert!(has(&findings(&source.world, Kind::LLMProvider, "a"), Reason::SecretNotFound));
    folder.write("secret.yaml", &secret("a", "hunter2-key").replace("key:", "other:"));
    source.until("a Secret without that key", |w| {
        has(&findings(w, Kind::LLMProvider, "a"), Reason::SecretKeyNotFound)
    });
    folder.write("keys.yaml", &key("two", ""));
    source.until("one key less", |w| w.snapshot.keys_by_name.len() == 1);
    folder.remove("keys.yaml");
    source.until("no key", |w| w.snapshot.keys_by_name.is_empty());
    folder.remove("a.yaml");
    source.until("no report of what is gone", |w| w.faulty.is_empty());
}

#[test]
fn what_is_deleted_while_nobody_runs_does_not_come_back() {
    let folder = Folder::new();
    folder.write("a.yaml", &provider_at("a", OLD));
    folder.start().stop();
    folder.remove("a.yaml");
    let source = folder.start();
    assert_eq!(url(&source.world, "a"), None);
    source.stop();
    // A namesake of another life is not served by the old spec.
    folder.write("a.yaml", &provider_at("a", "ftp://x"));
    let source = folder.start();
    assert_eq!(
        (url(&source.world, "a"), serving(&source.world, Kind::LLMProvider, "a")),
        (None, Serving::Nothing)
    );
}

#[test]
fn the_same_object_in_two_files_is_a_finding_on_both() {
    let folder = Folder::new();
    folder.write("a.yaml", &[provider_at("p", OLD), provider("other")].concat());
    let mut source = folder.start();
    folder.write("b.yaml", &provider_at("p", "https://new.example.com/v1"));
    source.until("the clash", |w| has(&of_file(w, "b.yaml"), Reason::DuplicateObject));
    let world = &source.world;
    let (a, b) = (of_file(world, "a.yaml"), of_file(world, "b.yaml"));
    assert!(has(&a, Reason::DuplicateObject) && a[0].message.contains("b.yaml"), "{a:?}");
    assert!(b[0].message.contains("a.yaml") && b[0].at.is_some_and(|at| at.line == 4), "{b:?}");
    assert_eq!(url(world, "p").as_deref(), Some(OLD), "the last valid spec serves");
    assert_eq!(serving(world, Kind::LLMProvider, "p"), Serving::LastGood);
    assert!(url(world, "other").is_some());
    source.stop();
    let mut source = folder.start();
    assert_eq!(url(&source.world, "p").as_deref(), Some(OLD), "after a restart too");

    folder.remove("a.yaml");
    source.until("the one that is left", |w| url(w, "p").as_deref() == Some("https://new.example.com/v1"));
    assert!(source.world.files.is_empty() && source.world.faulty.is_empty());
}

#[test]
fn twice_in_one_file_and_from_the_start() {
    let folder = Folder::new();
    folder.write("a.yaml", &[key("k", ""), key("k", "  disabled: true\n")].concat());
    folder.write("b.yaml", &[policy("p", "alice", "1"), policy("p", "bob", "2")].concat());
    let mut source = folder.start();
    assert!(has(&of_file(&source.world, "a.yaml"), Reason::DuplicateObject));
    assert!(source.world.snapshot.keys_by_name.get(&name("k")).is_none(), "nobody knows which one is meant");
    let policy = &source.world.snapshot.policies[0];
    assert!(matches!(policy.effect, Effect::Closed { .. }));
    let users: Vec<&str> = policy.targets.users.iter().map(|u| &**u).collect();
    assert_eq!(users, ["alice", "bob"], "it concerns whomever either declaration did");

    folder.write("a.yaml", &key("k", ""));
    source.until("one of them", |w| w.snapshot.keys_by_name.len() == 1);
    folder.write("c.yaml", &key("k", "  disabled: true\n"));
    let disabled = |w: &smartflow_gateway::source::World| {
        w.snapshot.keys_by_name.get(&name("k")).is_some_and(|k| k.disabled)
    };
    source.until("disabled by the second", disabled);
}

#[test]
fn documents_that_are_no_objects_are_told_and_harm_nobody() {
    let folder = Folder::new();
    folder.write(
        "a.yaml",
        &["apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n", &provider("a")].concat(),
    );
    let source = folder.start();
    assert!(has(&of_file(&source.world, "a.yaml"), Reason::UnknownKind));
    assert!(url(&source.world, "a").is_some());
}

#[test]
fn a_data_dir_that_was_damaged_is_told_and_starts_anew() {
    let folder = Folder::new();
    folder.write("a.yaml", &provider_at("a", OLD));
    folder.start().stop();
    let mut damaged = 0;
    for entry in std::fs::read_dir(folder.data("last-read")).unwrap() {
        std::fs::write(entry.unwrap().path(), "{\"format\":9,\"entries\":{}}").unwrap();
        damaged += 1;
    }
    assert_eq!(damaged, 1);
    folder.write("a.yaml", &provider_at("a", "ftp://x"));
    let mut source = folder.start();
    assert_eq!(url(&source.world, "a"), None);
    assert!(
        source.world.data_faults.iter().any(|f| f.contains("last-read")),
        "{:?}",
        source.world.data_faults
    );
    folder.write("a.yaml", &provider_at("a", OLD));
    source.until("life after it", |w| url(w, "a").is_some());
}

#[test]
fn an_object_that_moves_and_breaks_at_once_keeps_serving() {
    let folder = Folder::new();
    folder.write("a.yaml", &[provider_at("p", OLD), provider("q")].concat());
    let mut source = folder.start();
    folder.write("b.yaml", &provider_at("p", "ftp://x"));
    folder.write("a.yaml", &provider("q"));
    source.until("it in its new file", |w| {
        w.files.is_empty() && serving(w, Kind::LLMProvider, "p") == Serving::LastGood
    });
    assert_eq!(url(&source.world, "p").as_deref(), Some(OLD));
    source.stop();
    let source = folder.start();
    assert_eq!(url(&source.world, "p").as_deref(), Some(OLD), "after a restart too");
}

#[test]
fn a_large_world_is_read_in_parts_and_reports_are_those_of_the_whole() {
    let folder = Folder::new();
    // The provider is in the largest file, so that keys are read long before what they grant.
    folder.write("z.yaml", &[provider("a"), format!("# {}\n", "x".repeat(200_000))].concat());
    for file in 0..40 {
        let keys: Vec<_> = (0..400).map(|i| key(&format!("k-{file}-{i}"), "  sha256: SUM\n")).collect();
        let sum = |i: usize| format!("\"{:064x}\"", file * 1000 + i + 1);
        let keys: String = keys.iter().enumerate().map(|(i, k)| k.replace("SUM", &sum(i))).collect();
        folder.write(&format!("keys-{file}.yaml"), &keys);
    }
    folder.write("typo.yaml", &key("typo", "  limitz: {}\n"));
    let mut source = folder.start();
    let check = |w: &smartflow_gateway::source::World| {
        assert_eq!((w.objects, w.snapshot.keys_by_name.len()), (16_002, 16_000));
        assert_eq!(w.faulty.len(), 1, "{:?}", w.faulty.values().next());
        assert!(has(&findings(w, Kind::VirtualKey, "typo"), Reason::UnknownField));
    };
    check(&source.world);
    folder.remove("keys-7.yaml");
    source.until("fewer keys", |w| w.objects == 15_602);
    folder.write("keys-7.yaml", "{");
    source.until("a broken file", |w| !w.files.is_empty());
    assert_eq!(source.world.objects, 15_602, "nothing is known of it");
    folder.write("keys-8.yaml", "{");
    source.until("another", |w| w.files.len() == 2);
    assert_eq!(source.world.objects, 15_602, "this one keeps what it declared");
    source.stop();
    let source = folder.start();
    assert_eq!((source.world.objects, source.world.faulty.len()), (15_602, 1));
}

/// A kind or a name with a typo is not a deletion of what restricts.
#[test]
fn a_policy_whose_document_cannot_be_told_stays_in_force() {
    let folder = Folder::new();
    let good = policy("p", "alice", "3");
    folder.write("a.yaml", &[key("k", ""), good.clone()].concat());
    let mut source = folder.start();
    let names = |w: &smartflow_gateway::source::World| {
        w.snapshot.policies.iter().map(|p| p.name.name.to_string()).collect::<Vec<_>>()
    };
    let limits = |w: &smartflow_gateway::source::World| {
        matches!(&w.snapshot.policies[0].effect, Effect::Restrict { limits: Some(_), .. })
    };
    for (slip, reason) in [
        (good.replace("kind: Policy", "kind: Polcy"), Reason::UnknownKind),
        (good.replace("v1alpha1", "v1alpha2"), Reason::UnknownKind),
        (good.replace("name: p", "nmae: p"), Reason::Required),
        (good.replace("name: p", "name: P"), Reason::InvalidName),
    ] {
        folder.write("a.yaml", &[key("k", "  disabled: true\n"), slip].concat());
        source.until("the fault", |w| has(&of_file(w, "a.yaml"), reason));
        let told = of_file(&source.world, "a.yaml");
        assert!(told.iter().any(|f| f.message.contains("default/p") && f.at.is_some()), "{told:?}");
        assert_eq!(names(&source.world), ["p"]);
        assert!(limits(&source.world));
        let disabled = source.world.snapshot.keys_by_name.get(&name("k")).unwrap().disabled;
        assert!(disabled, "the rest of the file is obeyed");
        source.stop();
        source = folder.start();
        assert_eq!(names(&source.world), ["p"], "after a restart too");
        assert!(limits(&source.world));
    }
    folder.write("a.yaml", "{");
    source.until("no YAML at all", |w| has(&of_file(w, "a.yaml"), Reason::Syntax));
    assert_eq!(names(&source.world), ["p"]);
    assert!(source.world.snapshot.keys_by_name.get(&name("k")).unwrap().disabled);

    folder.write(
        "a.yaml",
        &[good, "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n".to_owned()].concat(),
    );
    source.until("the good one", |w| w.snapshot.keys_by_name.is_empty());
    folder.write("a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n");
    source.until("a deletion beside a document of others", |w| w.snapshot.policies.is_empty());
}
