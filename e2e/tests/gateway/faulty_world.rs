//! One bad object takes nobody else down, its last-good serves, and what is withdrawn is obeyed at once.

use serde_json::{Value, json};
use smartflow_e2e::client::ask;
use smartflow_e2e::gateway::Gateway;
use smartflow_e2e::vendor::{Config, Vendor};
use smartflow_e2e::world::{World, key, token};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(5);
const GOOD: usize = 50;

struct Bench {
    _vendor: Vendor,
    world: World,
    gateway: Gateway,
}

fn name(n: usize) -> String {
    format!("key-{n:02}")
}

/// Fifty good keys and one more, `odd`, each in a file of its own.
async fn start() -> Bench {
    let vendor = Vendor::start(Config::default());
    let world = World::of(&vendor);
    for n in 0..GOOD {
        world.put(&name(n), &key(&name(n), &json!({})));
    }
    world.put("odd", &key("odd", &json!({})));
    let gateway = Gateway::start(&world).await;
    Bench { _vendor: vendor, world, gateway }
}

impl Bench {
    async fn status(&self, key: &str) -> u16 {
        self.gateway.client(&token(key)).chat(&ask("mock-small", "hi")).await.status
    }

    async fn code(&self, key: &str) -> String {
        self.gateway.client(&token(key)).chat(&ask("mock-small", "hi")).await.code()
    }

    /// Waits until the key's calls end with this code; empty = they are served.
    async fn until_code(&self, key: &str, code: &str) {
        let what = format!("{key} to end with {code:?}");
        self.gateway.until(&what, SOON, || async { self.code(key).await == code }).await;
    }

    async fn resource(&self, kind: &str, name: &str) -> Value {
        let page =
            self.gateway.admin_page(&format!("/resources?kind={kind}&namespace=default&name={name}")).await;
        page.expect_status(200).json()
    }

    /// Waits until the admin port tells a finding of the object that contains all of `words`.
    async fn until_found(&self, kind: &str, name: &str, words: &[&str]) {
        let what = format!("a finding of {kind} {name} with {words:?}");
        let found = || async {
            let shown = self.resource(kind, name).await.to_string();
            words.iter().all(|w| shown.contains(w))
        };
        self.gateway.until(&what, SOON, found).await;
    }

    async fn all_good_serve(&self) {
        for n in 0..GOOD {
            assert_eq!(self.status(&name(n)).await, 200, "{}", name(n));
        }
    }
}

#[tokio::test]
async fn fifty_serve_beside_a_malformed_one_which_keeps_its_last_good() {
    let mut bench = start().await;
    bench.all_good_serve().await;
    // A wrong value in the one field, a misspelt other field.
    bench.world.put("odd", &key("odd", &json!({"limits": {"requestsPerMinute": 0}, "budgett": {}})));
    bench.until_found("VirtualKey", "odd", &["limits.requestsPerMinute", "budgett"]).await;
    bench.all_good_serve().await;
    assert_eq!(bench.code("odd").await, "", "its last-good serves");
    bench.gateway.kill();
    bench.gateway.again().await;
    bench.all_good_serve().await;
    assert_eq!(bench.code("odd").await, "", "its last-good serves after a restart");
    bench.until_found("VirtualKey", "odd", &["limits.requestsPerMinute"]).await;
    // Mended, it is as new.
    bench.world.put("odd", &key("odd", &json!({"models": ["mock-large"]})));
    bench.until_code("odd", "model_not_found").await;
}

#[tokio::test]
async fn a_malformed_one_without_a_last_good_is_absent_and_alone() {
    let bench = start().await;
    bench.world.put("fresh", &key("fresh", &json!({"models": "everything"})));
    bench.until_found("VirtualKey", "fresh", &["models"]).await;
    assert_eq!(bench.code("fresh").await, "invalid_api_key");
    bench.all_good_serve().await;
}

#[tokio::test]
async fn a_file_that_does_not_parse_keeps_what_was_last_read_from_it() {
    let mut bench = start().await;
    bench.world.put_text("odd", "kind: VirtualKey\n  metadata: [\n");
    let told = || async {
        let page = bench.gateway.admin_page("/resources").await;
        String::from_utf8_lossy(&page.body).contains("odd.yaml")
    };
    bench.gateway.until("the file to be reported", SOON, told).await;
    assert_eq!(bench.code("odd").await, "");
    bench.gateway.kill();
    bench.gateway.again().await;
    assert_eq!(bench.code("odd").await, "", "also after a restart");
    bench.world.remove("odd");
    bench.until_code("odd", "invalid_api_key").await;
    bench.all_good_serve().await;
}

#[tokio::test]
async fn deletions_and_withdrawals_are_obeyed_at_once() {
    let mut bench = start().await;
    // The Secret alone: the key has no token any more.
    let objects = key("key-00", &json!({}));
    bench.world.put("key-00", &objects[1..]);
    bench.until_code("key-00", "invalid_api_key").await;
    // The key alone.
    let objects = key("key-01", &json!({}));
    bench.world.put("key-01", &objects[..1]);
    bench.until_code("key-01", "invalid_api_key").await;
    // The file.
    bench.world.remove("key-02");
    bench.until_code("key-02", "invalid_api_key").await;
    // `disabled` and `expiresAt` beside a typo.
    bench
        .world
        .put("key-03", &key("key-03", &json!({"disabled": true, "modells": ["x"], "limits": {"rpm": 1}})));
    bench.until_code("key-03", "key_disabled").await;
    bench
        .world
        .put("key-04", &key("key-04", &json!({"expiresAt": "2020-01-01T00:00:00Z", "modells": ["x"]})));
    bench.until_code("key-04", "key_expired").await;
    bench.gateway.kill();
    bench.gateway.again().await;
    for (key, code) in [
        ("key-00", "invalid_api_key"),
        ("key-01", "invalid_api_key"),
        ("key-02", "invalid_api_key"),
        ("key-03", "key_disabled"),
        ("key-04", "key_expired"),
        ("key-05", ""),
    ] {
        assert_eq!(bench.code(key).await, code, "{key} after a restart");
    }
}

#[tokio::test]
async fn a_change_made_while_it_was_down_is_obeyed_too() {
    let mut bench = start().await;
    // What was read is kept right after it begins to serve.
    let kept =
        || async { bench.gateway.keeps("last-read", "key-01") && bench.gateway.keeps("last-read", "key-02") };
    bench.gateway.until("the specs to be kept", SOON, kept).await;
    bench.gateway.kill();
    bench.world.remove("key-00");
    bench.world.put("key-01", &key("key-01", &json!({"disabled": true, "oops": 1})));
    bench.world.put("key-02", &key("key-02", &json!({"limits": {}})));
    bench.gateway.again().await;
    assert_eq!(bench.code("key-00").await, "invalid_api_key");
    assert_eq!(bench.code("key-01").await, "key_disabled");
    assert_eq!(bench.code("key-02").await, "", "limits: {{}} is invalid, so its last-good serves");
    assert_eq!(bench.code("key-03").await, "");
}

#[tokio::test]
async fn the_same_object_in_two_files_is_a_finding_on_both() {
    let bench = start().await;
    bench.world.put("twin", &key("odd", &json!({})));
    bench.until_found("VirtualKey", "odd", &["odd.yaml", "twin.yaml"]).await;
    bench.all_good_serve().await;
    bench.world.remove("twin");
    let mended = || async { !bench.resource("VirtualKey", "odd").await.to_string().contains("twin.yaml") };
    bench.gateway.until("the finding to go", SOON, mended).await;
    assert_eq!(bench.code("odd").await, "");
}

#[tokio::test]
async fn symlink_swaps_as_configmaps_do_them_are_seen() {
    let vendor = Vendor::start(Config::default());
    let world = World::of(&vendor);
    let version = |n: &str, objects: &[Value]| {
        let folder = world.path().join(format!("..{n}"));
        std::fs::create_dir(&folder).unwrap();
        let text: Vec<String> = objects.iter().map(Value::to_string).collect();
        std::fs::write(folder.join("mounted.yaml"), text.join("\n---\n")).unwrap();
    };
    let swap = |n: &str| {
        let fresh = world.path().join("..data_tmp");
        std::os::unix::fs::symlink(format!("..{n}"), &fresh).unwrap();
        std::fs::rename(fresh, world.path().join("..data")).unwrap();
    };
    version("v1", &key("mounted", &json!({})));
    swap("v1");
    std::os::unix::fs::symlink("..data/mounted.yaml", world.path().join("mounted.yaml")).unwrap();
    let gateway = Gateway::start(&world).await;
    let bench = Bench { _vendor: vendor, world: World::new(), gateway };
    bench.until_code("mounted", "").await;
    version("v2", &key("mounted", &json!({"disabled": true})));
    swap("v2");
    bench.until_code("mounted", "key_disabled").await;
}

#[tokio::test]
async fn while_a_file_does_not_parse_its_objects_say_what_serves_and_from_where() {
    let bench = start().await;
    bench.world.put_text("odd", "kind: VirtualKey\nmodels: [a\nb: c\n");
    bench.until_found("VirtualKey", "odd", &["odd.yaml"]).await;
    let item = bench.resource("VirtualKey", "odd").await["items"][0].clone();
    assert_eq!(item["file"], "odd.yaml");
    let condition = |kind: &str| {
        let all = item["status"]["conditions"].as_array().unwrap();
        all.iter().find(|c| c["type"] == kind).unwrap().clone()
    };
    for kind in ["Programmed", "Ready"] {
        let said = condition(kind);
        assert_eq!((&said["status"], &said["reason"]), (&json!("True"), &json!("LastRead")), "{said}");
        assert!(said["message"].as_str().unwrap().contains("odd.yaml last declared"), "{said}");
    }
    assert_eq!(bench.status("odd").await, 200);
    let told = || async { bench.gateway.log().contains("the [ here is not closed") };
    bench.gateway.until("the finding to be logged", SOON, told).await;
    bench.world.put("odd", &key("odd", &json!({})));
    let mended = || async { bench.resource("VirtualKey", "odd").await["items"][0]["file"].is_null() };
    bench.gateway.until("the file to be read", SOON, mended).await;
}
