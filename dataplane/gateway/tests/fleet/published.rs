//! What is published is enforced, and said to be.

use crate::pod::{PATIENCE, Pod};
use crate::traffic::TOKENS;
use crate::{ALICE, CENT, KEY, Scene, a_budget, a_key};
use smartflow_compile::Kind;
use smartflow_transport::Ring;
use std::time::Instant;

const POOR: &str = "team/poor";

/// T1 to T7: three gateways.
#[tokio::test(flavor = "multi_thread")]
async fn three_gateways_enforce_what_is_published_and_say_so() {
    let mut scene = Scene::new().await;
    let uids = ["a", "b", "c"].map(|digit| digit.repeat(32));
    let mut pods = uids.clone().map(|uid| scene.pod(&["--pod-uid", &uid]));
    pods.iter_mut().for_each(Pod::ready);
    assert!(pods.iter().all(|pod| pod.chat(ALICE).0 == 200 && pod.chat("team/bob").0 == 401));
    let at = scene.operator.apply(&a_key("bob")).await.unwrap();
    let fleet = scene.acknowledged(3, at).await;
    let hash = scene.operator.compiler.snapshot().hash;
    assert!(fleet.ready().all(|beat| beat.content == hash && beat.unusable_count == 0));
    assert_eq!(fleet.ready().map(|beat| beat.pod.clone()).collect::<Vec<_>>(), uids);
    assert!(pods.iter().all(|pod| pod.chat("team/bob").0 == 200));
    let at = scene.operator.delete(Kind::VirtualKey, "team", "bob").await.unwrap();
    scene.acknowledged(3, at).await;
    assert!(pods.iter().all(|pod| pod.chat("team/bob").0 == 401 && pod.chat(ALICE).0 == 200));
    // An object at fault is on the pods' own pages as well.
    let broken = "apiVersion: smartflow.dev/v1alpha1\nkind: VirtualKey\nmetadata: { name: broken, namespace: team }\nspec: { modles: [\"*\"] }\n";
    let at = scene.operator.apply(broken).await.unwrap();
    scene.acknowledged(3, at).await;
    let page = pods[0].admin_page("/resources?kind=VirtualKey&name=broken").1;
    assert!(page.contains("UnknownField") && page.contains("modles"), "{page}");
    let snapshot = pods[0].admin_page("/snapshot").1;
    assert!(snapshot.contains(&format!("\"revision\":\"{at}\"")), "{snapshot}");
    let metrics = pods[0].admin_page("/metrics").1;
    assert!(metrics.contains(&format!("smartflow_config_revision {}", at.number)), "{metrics}");
    assert!(metrics.contains("smartflow_config_age_seconds 0"), "{metrics}");
}

/// T9
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_with_a_wrong_key_names_the_key_and_takes_the_right_one_from_its_file() {
    let scene = Scene::new().await;
    let wrong = scene.key_file.with_extension("wrong");
    std::fs::write(&wrong, "cd".repeat(32)).unwrap();
    let mut pod = Pod::start(&scene.server.url(), &wrong, &[]);
    let id = Ring::parse(KEY).unwrap().newest().to_string();
    pod.until("it names the key", |pod| pod.admin_page("/readyz").1.contains(&id));
    assert_eq!(pod.admin_page("/readyz").0, 503);
    assert!(!pod.log().contains("cdcdcd"));
    std::fs::write(&wrong, format!("{}\n{KEY}\n", "cd".repeat(32))).unwrap();
    pod.ready();
    assert_eq!(pod.chat(ALICE).0, 200);
}

/// L4: limits are ordered by what was published, not by which gateway started last.
#[tokio::test(flavor = "multi_thread")]
async fn a_raised_budget_counts_whichever_gateway_says_so() {
    let mut scene = Scene::new().await;
    scene.operator.apply(&a_budget("poor", 1)).await.unwrap();
    let [first] = scene.pods(&[]);
    assert_eq!(first.chat(POOR).0, 200);
    let [last] = scene.pods(&[]);
    // What the first one holds comes back for the other one's calls.
    let (mut calls, begun) = (1, Instant::now());
    while calls * TOKENS * CENT < 100 {
        calls += u64::from(last.chat(POOR).0 == 200);
        assert!(begun.elapsed() < PATIENCE, "only {calls} calls for a dollar");
    }
    assert_eq!((first.chat(POOR).0, last.chat(POOR).0), (429, 429));
    let at = scene.operator.apply(&a_budget("poor", 2)).await.unwrap();
    scene.acknowledged(2, at).await;
    assert_eq!(first.chat(POOR).0, 200);
    // And the other way round: what is lowered is not lent any more, on either of them.
    let at = scene.operator.apply(&a_budget("poor", 1)).await.unwrap();
    scene.acknowledged(2, at).await;
    assert_eq!((first.chat(POOR).0, last.chat(POOR).0), (429, 429));
}

/// Which flags belong together.
#[tokio::test(flavor = "multi_thread")]
async fn usage_is_told_where_flags_are_missing() {
    let run = |arguments: &[&str]| {
        let ran =
            std::process::Command::new(env!("CARGO_BIN_EXE_smartflow-gateway")).args(arguments).output();
        let ran = ran.unwrap();
        (ran.status.code(), String::from_utf8_lossy(&ran.stderr).into_owned())
    };
    let (code, said) = run(&["--redis", "redis://127.0.0.1:1"]);
    assert!(code == Some(2) && said.contains("--sealing-key-file"), "{said}");
    let (code, said) = run(&["--redis", "nowhere", "--sealing-key-file", "x"]);
    assert!(code == Some(2) && said.contains("--redis"), "{said}");
    let (code, said) = run(&[]);
    assert!(code == Some(2) && said.contains("--world") && said.contains("--redis"), "{said}");
}
