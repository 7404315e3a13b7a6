//! Who publishes: one at a time, whatever happens to the others.

use crate::desk::{Desk, KEY, LEASE, POLICY, PROVIDER, SOON};
use smartflow_rig::cluster::{Cluster, until};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_is_succeeded_within_its_lease_and_five_seconds() {
    let desk = Desk::new(Cluster::shared().await).await;
    let mut first = desk.operator();
    until("it leads", SOON, async || first.leads().await).await;
    let second = desk.operator();
    desk.apply(&[PROVIDER, KEY, POLICY].concat()).await;
    let gateways = desk.gateways(&desk.ring().await).await;
    desk.wait("Ready", &["policy/slowly", "virtualkey/alice"]).await;
    let token = desk.token("alice-token").await;
    let (before, entries) = (gateways[0].at(), desk.entries().await);
    assert!(!second.leads().await);
    first.process().kill();
    let killed = Instant::now();
    // While nobody writes, traffic goes on and nothing is lost.
    let _ = desk.run(&["delete", "policy/slowly"]).await.done();
    desk.apply(&POLICY.replace("slowly", "later")).await;
    let converged = async || {
        assert!(gateways.iter().all(|g| g.knows_token(&token)));
        gateways.iter().all(|g| g.has_policy("later") && !g.has_policy("slowly"))
    };
    until("the successor converges", SOON, converged).await;
    let took = killed.elapsed();
    assert!(took < LEASE + Duration::from_secs(5), "{took:?}");
    desk.wait("Ready", &["policy/later"]).await;
    assert!(gateways.iter().all(|g| g.at().epoch > before.epoch), "under an epoch of its own");
    let kept = desk.entries().await;
    let same = kept.iter().filter(|(name, entry)| entries.get(*name) == Some(*entry)).count();
    assert_eq!((entries.len(), kept.len(), same), (3, 3, 2), "what did not change is not sealed again");
    assert_eq!(desk.token("alice-token").await, token, "no second token");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_slept_changes_nothing_when_it_wakes() {
    let desk = Desk::new(Cluster::shared().await).await;
    let mut first = desk.operator();
    until("it leads", SOON, async || first.leads().await).await;
    let second = desk.operator();
    desk.apply(&[PROVIDER, KEY, POLICY].concat()).await;
    let gateways = desk.gateways(&desk.ring().await).await;
    desk.wait("Ready", &["policy/slowly", "virtualkey/alice"]).await;
    first.process().pause();
    // Changes that it is told of the moment it wakes, while it still believes that it leads.
    let _ = desk.run(&["delete", "policy/slowly"]).await.done();
    desk.apply(&POLICY.replace("slowly", "later")).await;
    until("the second leads", SOON, async || second.leads().await).await;
    desk.wait("Ready", &["policy/later"]).await;
    let lease = async || desk.kubectl.get(&["lease/smartflow-operator"]).await;
    let epoch = lease().await["metadata"]["annotations"].clone();
    let (at, writes) = (gateways[0].at(), desk.writes().len());
    let streams = desk.redis.cli(&["XLEN", "smartflow:config:stream"]);
    first.process().resume();
    until("it knows", SOON, async || first.metric("smartflow_operator_leader").await == Some(0.0)).await;
    // It has taken notice of all that it missed; what it would have done about it, it would have done by now.
    let compiled = async || first.metric("smartflow_operator_status_queue").await == Some(0.0);
    until("it has nothing to do", SOON, compiled).await;
    assert_eq!(gateways[0].at(), at);
    assert_eq!(desk.redis.cli(&["XLEN", "smartflow:config:stream"]), streams);
    assert_eq!(desk.writes().len(), writes, "{:?}", &desk.writes()[writes..]);
    assert_eq!(lease().await["metadata"]["annotations"], epoch);
    assert!(second.leads().await);
    // And it is of use again when the second one goes.
    drop(second);
    desk.apply(&POLICY.replace("slowly", "last")).await;
    desk.wait("Ready", &["policy/last"]).await;
    assert!(first.leads().await);
}
