//! Redis is away.

use crate::operator::Operator;
use crate::traffic::{TOKENS, Traffic, billed};
use crate::{ALICE, CENT, KEY, Scene, WORLD, a_budget, a_key};
use smartflow_transport::Ring;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// T5: a restarted container serves what it had; a new one says why it does not.
#[tokio::test(flavor = "multi_thread")]
async fn with_redis_away_a_restarted_gateway_serves_and_a_new_one_says_why_not() {
    let mut scene = Scene::new().await;
    let mut pod = scene.pod(&[]);
    pod.ready();
    let file = pod.data_dir().join("config.sealed");
    let length = |file: &PathBuf| std::fs::metadata(file).map_or(0, |data| data.len());
    pod.until("it is kept", |_| length(&file) > 0);
    let whole = length(&file);
    scene.operator.apply(&a_key("bob")).await.unwrap();
    pod.until("what changed is kept, too", |_| length(&file) > whole);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let kept = std::fs::read(&file).unwrap();
    let holds = |text: &str| kept.windows(text.len()).any(|w| w == text.as_bytes());
    assert!(!holds("canary") && !holds("alice") && !holds("LLMProvider"));
    scene.server.kill();
    assert_eq!(pod.chat(ALICE).0, 200, "one that serves does not need Redis");
    pod.again();
    pod.ready();
    assert_eq!((pod.chat(ALICE).0, pod.chat("team/bob").0, pod.chat("team/carol").0), (200, 200, 401));
    assert!(pod.admin_page("/snapshot").1.contains("\"fromLastGood\":true"));
    let mut fresh = scene.pod(&[]);
    fresh.until("it says why", |pod| pod.admin_page("/readyz").1.contains("\"why\""));
    let (status, said) = fresh.admin_page("/readyz");
    assert!(status == 503 && said.contains("no configuration yet") && said.contains("connect"), "{said}");
    assert_ne!(fresh.chat(ALICE).0, 200);
    // One whose copy is too old.
    let old = std::time::SystemTime::now() - Duration::from_secs(3600);
    pod.process.kill();
    std::fs::File::options().append(true).open(&file).unwrap().set_modified(old).unwrap();
    let mut strict = scene.pod(&["--last-good-max-age", "30m"]);
    std::fs::copy(&file, strict.data_dir().join("config.sealed")).unwrap();
    let copied = strict.data_dir().join("config.sealed");
    std::fs::File::options().append(true).open(copied).unwrap().set_modified(old).unwrap();
    strict.again();
    strict.until("it says why", |pod| pod.log().contains("--last-good-max-age is"));
    assert_eq!(strict.admin_page("/readyz").0, 503);
    // Redis is back, with an operator that publishes.
    scene.server.restart();
    scene.operator = Operator::new(scene.redis.clone(), Ring::parse(KEY).unwrap());
    scene.operator.know(Operator::read(WORLD));
    scene.operator.lead().await.unwrap();
    fresh.ready();
    strict.ready();
    assert_eq!((fresh.chat(ALICE).0, strict.chat("team/bob").0), (200, 401));
}

/// T5, faults 1 and 3: Redis is killed for a while. Keys in use go on, no cap is passed, the spend is told afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn keys_in_use_go_on_while_redis_is_away_and_caps_hold() {
    let mut scene = Scene::durable().await;
    scene.operator.apply(&[a_budget("rich", 9000), a_budget("poor", 3)].concat()).await.unwrap();
    let mut pods = scene.pods::<3>(&[]);
    let ports = [pods[0].traffic, pods[1].traffic, pods[2].traffic];
    let free = Traffic::start(ports, ALICE);
    let rich = Traffic::start(ports, "team/rich");
    [&free, &rich].iter().for_each(|traffic| traffic.more(60, 200, ""));
    // A part of it is spent, and more of it is lent.
    let used: u64 = pods.iter().map(|pod| billed(&pod.chat("team/poor"))).sum();
    assert_eq!(used, 3 * TOKENS);
    scene.server.kill();
    let poor = Traffic::start(ports, "team/poor");
    let dark = Instant::now();
    while dark.elapsed() < Duration::from_secs(4) {
        [&free, &rich].iter().for_each(|traffic| traffic.more(30, 200, ""));
    }
    assert!(pods.iter().all(|pod| pod.admin_page("/readyz").0 == 200));
    for pod in &mut pods {
        pod.until("it says that Redis is away", |pod| pod.admin_page("/readyz").1.contains("\"why\""));
    }
    scene.server.restart();
    // The budget is used up over all three, whoever held which part of it.
    poor.more(30, 429, "budget_exceeded");
    let at = scene.operator.apply(&a_key("late")).await.unwrap();
    scene.acknowledged(3, at).await;
    assert!(pods.iter().all(|pod| pod.chat("team/late").0 == 200));
    free.end(&[(200, "")]);
    let rich = rich.end(&[(200, "")]);
    let lacking = [(200, ""), (429, "budget_exceeded"), (503, "budget_unavailable")];
    let poor = used + poor.end(&lacking);
    assert!(poor * CENT <= 300, "{poor} cents were spent of three dollars");
    for pod in &mut pods {
        pod.until("all that was spent is told", |pod| pod.spent("team/rich") == Some(rich * CENT));
        pod.until("the same of the other", |pod| pod.spent("team/poor") == Some(poor * CENT));
    }
}
