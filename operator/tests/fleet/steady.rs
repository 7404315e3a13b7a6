//! Many objects, and servers that are away.

use crate::desk::{Desk, KEY, POLICY, PROVIDER, SOON};
use futures::StreamExt;
use kube_client::Api;
use kube_client::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use smartflow_crds::VirtualKey;
use smartflow_rig::cluster::kstatus::{Health, health};
use smartflow_rig::cluster::{Cluster, until};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// Requests at a time.
const AT_ONCE: usize = 32;

fn key(name: &str) -> VirtualKey {
    let spec = json!({ "models": ["*"], "budget": { "limitUSD": "10", "period": "Daily" } });
    let object = json!({
        "apiVersion": "smartflow.dev/v1alpha1", "kind": "VirtualKey", "metadata": { "name": name }, "spec": spec,
    });
    serde_json::from_value(object).unwrap()
}

async fn keys(desk: &Desk<'_>, count: usize) -> Api<VirtualKey> {
    let api: Api<VirtualKey> = Api::namespaced(desk.client().await, &desk.namespace);
    let params = PostParams::default();
    let make = futures::stream::iter(0..count).map(|i| {
        let (api, params) = (&api, &params);
        async move { api.create(params, &key(&format!("key-{i}"))).await.unwrap() }
    });
    make.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await;
    api
}

/// How many keys say that they are ready as they are now.
async fn ready(api: &Api<VirtualKey>, generation: i64) -> usize {
    let all = api.list(&Default::default()).await.unwrap();
    let is_ready = |key: &&VirtualKey| {
        let conditions = key.status.iter().flat_map(|status| &status.conditions);
        let ready = conditions.into_iter().find(|c| c.type_ == "Ready");
        ready.is_some_and(|c| json!(c.status) == "True" && c.observed_generation == Some(generation))
    };
    all.items.iter().filter(is_ready).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_changes_settle_and_then_nothing_is_written() {
    let desk = Desk::new(Cluster::shared().await).await;
    let operator = desk.operator();
    desk.apply(PROVIDER).await;
    let gateways = desk.gateways(&desk.ring().await).await;
    let api = keys(&desk, 1000).await;
    let limit = Duration::from_secs(120);
    until("a thousand keys are ready", limit, async || ready(&api, 1).await == 1000).await;
    // A thousand changes in ten seconds.
    let began = Instant::now();
    let params = PatchParams::default();
    let change = futures::stream::iter(0..1000_u32).map(|i| {
        let (api, params) = (&api, &params);
        async move {
            let at = began + Duration::from_millis(u64::from(i) * 10);
            tokio::time::sleep_until(at.into()).await;
            let patch = json!({ "spec": { "limits": { "requestsPerMinute": i + 1 } } });
            api.patch(&format!("key-{i}"), params, &Patch::Merge(&patch)).await.unwrap();
        }
    });
    change.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await;
    let changed = Instant::now();
    until("all of them are ready again", limit, async || ready(&api, 2).await == 1000).await;
    println!("1000 changes took {:?}, all were ready {:?} later", changed - began, changed.elapsed());
    for gateway in &gateways {
        assert_eq!(gateway.runs().keys_by_name.len(), 1000);
        assert_eq!(gateway.runs().hash, gateways[0].runs().hash);
    }
    // Figures of spend of all keys are shown at most 20 a second; then there is nothing left to say.
    let shown = async || {
        let all = api.list(&Default::default()).await.unwrap();
        all.items.iter().all(|key| key.status.as_ref().is_some_and(|status| status.spent_usd.is_some()))
    };
    until("what was spent is shown", limit, shown).await;
    until("nothing waits", limit, async || {
        operator.metric("smartflow_operator_status_queue").await == Some(0.0)
    })
    .await;
    let Some(own) = desk.cluster.own() else { return };
    let here = || {
        let all = own.writes().into_iter().filter(|w| w.namespace == desk.namespace);
        all.filter(|w| w.resource != "leases").collect::<Vec<_>>()
    };
    // Events are told one after the other.
    let last = Cell::new(0);
    until("all events are told", limit, async || {
        tokio::time::sleep(Duration::from_secs(2)).await;
        last.replace(here().len()) == here().len()
    })
    .await;
    let before = here().len();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let after = here();
    assert_eq!(after.len(), before, "{:?}", &after[before..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_and_one_that_is_malformed_fifty_are_ready_and_its_last_valid_spec_serves() {
    let desk = Desk::new(Cluster::shared().await).await;
    let _operator = desk.operator();
    let provider = |i: usize| {
        let models = format!("models: [{{name: m-{i}, price: {{input: '1', output: '1'}}}}]");
        let spec = format!(
            "{{provider: openai-compatible, baseURL: 'https://llm.example.com/v1', auth: {{none: {{}}}}, {models}}}"
        );
        let named = PROVIDER.replace("name: models", &format!("name: models-{i}"));
        named.replace("{provider: simulated}", &spec)
    };
    let all: Vec<String> = (0..51).map(provider).collect();
    desk.apply(&all.concat()).await;
    let gateways = desk.gateways(&desk.ring().await).await;
    let ready = async || {
        let all = desk.kubectl.get(&["llmproviders"]).await;
        let is_ready = |object: &&Value| health(object) == Health::Current;
        all["items"].as_array().unwrap().iter().filter(is_ready).count()
    };
    until("all are ready", SOON, async || ready().await == 51).await;
    desk.apply(&provider(50).replace("openai-compatible", "openai-incompatible")).await;
    desk.wait("Stalled", &["llmprovider/models-50"]).await;
    let accepted = desk.condition("llmprovider/models-50", "Accepted").await;
    let message = accepted["message"].as_str().unwrap();
    assert!(message.contains("spec.provider") && message.contains("Fix:"), "{message}");
    desk.apply(POLICY).await;
    desk.wait("Ready", &["policy/slowly"]).await;
    assert_eq!(ready().await, 50);
    assert!(gateways.iter().all(|g| g.has_provider("models-50") && g.runs().providers.len() == 51));
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_that_wait_take_every_state_for_what_it_is() {
    let desk = Desk::new(Cluster::shared().await).await;
    let of = async |object: &str| -> Value { desk.kubectl.get(&[object]).await };
    let is = async |object: &str, health_of: Health| {
        until(&format!("{object} is {health_of:?}"), SOON, async || health(&of(object).await) == health_of)
            .await;
    };
    desk.apply(PROVIDER).await;
    assert_eq!(health(&of("llmprovider/models").await), Health::InProgress, "nobody looked at it yet");
    let _operator = desk.operator();
    let _gateways = desk.gateways(&desk.ring().await).await;
    is("llmprovider/models", Health::Current).await;
    let vendor = |name: &str, url: &str| {
        let auth = "auth: {apiKey: {secretRef: {name: vendor, key: k}}}";
        let models = "models: [{name: m, price: {input: '1', output: '1'}}]";
        let spec = format!("{{provider: openai-compatible, baseURL: '{url}', {auth}, {models}}}");
        PROVIDER.replace("{provider: simulated}", &spec).replace("name: models}", &format!("name: {name}}}"))
    };
    // A Secret that is missing may come yet.
    desk.apply(&vendor("waits", "https://llm.example.com/v1")).await;
    desk.wait_for_reason("llmprovider/waits", "ResolvedRefs", "SecretNotFound").await;
    is("llmprovider/waits", Health::InProgress).await;
    // One that is there without the label says that.
    let _ = desk.run(&["create", "secret", "generic", "vendor", "--from-literal=k=v0123456789"]).await.done();
    desk.wait_for_reason("llmprovider/waits", "ResolvedRefs", "SecretNotLabelled").await;
    let _ = desk.run(&["label", "secret", "vendor", "smartflow.dev/credential=true"]).await.done();
    is("llmprovider/waits", Health::Current).await;
    // A URL that is none will not become one.
    desk.apply(&vendor("wrong", "https://169.254.169.254/v1")).await;
    is("llmprovider/wrong", Health::Failed).await;
    let finalizer = json!({ "metadata": { "finalizers": ["example.com/wait"] } }).to_string();
    let _ = desk.run(&["patch", "llmprovider/waits", "--type=merge", "--patch", &finalizer]).await.done();
    let _ = desk.run(&["delete", "llmprovider/waits", "--wait=false"]).await.done();
    is("llmprovider/waits", Health::Terminating).await;
    let free = json!({ "metadata": { "finalizers": null } }).to_string();
    let _ = desk.run(&["patch", "llmprovider/waits", "--type=merge", "--patch", &free]).await.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_api_server_nothing_happens_and_without_redis_a_namespace_still_goes() {
    let cluster = Cluster::start().await;
    let Some(own) = cluster.own() else { return };
    own.controllers().await;
    let mut desk = Desk::new(&cluster).await;
    desk.apart().await;
    let operator = desk.operator();
    desk.apply(&[PROVIDER, KEY, POLICY].concat()).await;
    let gateways = desk.gateways(&desk.ring().await).await;
    let api = keys(&desk, 200).await;
    until("200 keys are ready", SOON, async || ready(&api, 1).await >= 200).await;
    let token = desk.token("alice-token").await;
    let at = gateways[0].at();
    own.stop_api();
    // Longer than the Lease.
    until("it does not write any more", SOON, async || {
        operator.metric("smartflow_operator_leader").await == Some(0.0)
    })
    .await;
    assert!(gateways.iter().all(|g| g.knows_token(&token) && g.has_policy("slowly") && g.at() == at));
    own.start_api().await;
    desk.apply(&POLICY.replace("slowly", "later")).await;
    desk.wait("Ready", &["policy/later"]).await;
    assert!(gateways.iter().all(|g| g.knows_token(&token) && g.has_policy("slowly")));

    desk.redis.kill();
    let began = Instant::now();
    let gone = ["delete", "namespace", &desk.namespace, "--timeout=60s"];
    let _ = cluster.kubectl().run(&gone).await.done();
    println!("a namespace with 200 keys was gone after {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(60));
}
