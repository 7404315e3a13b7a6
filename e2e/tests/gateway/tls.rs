//! TLS at the traffic port: both protocols, exchange of the certificate, limits of handshakes, and words for whoever
//! does not speak TLS.

use crate::admin_number;
use smartflow_e2e::client::{Client, ask};
use smartflow_e2e::door::{Door, Protocol};
use smartflow_e2e::frames::Raw;
use smartflow_e2e::gateway::{Gateway, binary};
use smartflow_e2e::raw::exchange;
use smartflow_e2e::sdk::{Sdk, Target, run};
use smartflow_e2e::vendor::{Config, Vendor};
use smartflow_e2e::world::{World, budget, key, token};
use smartflow_rig::certificate;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const LIMIT: Duration = Duration::from_secs(20);

/// A folder as a mounted Secret looks: `server.pem` and `server.key` are links through `..data`.
struct Mounted {
    dir: TempDir,
    versions: u32,
}

impl Mounted {
    fn new() -> Self {
        let mut mounted = Self { dir: tempfile::tempdir().unwrap(), versions: 0 };
        mounted.swap(|_| ());
        for name in ["server.pem", "server.key"] {
            symlink(format!("..data/{name}"), mounted.path(name)).unwrap();
        }
        mounted
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Exchanges both files in one step, after `spoil` had its way with them, and returns the new authority.
    fn swap(&mut self, spoil: impl FnOnce(&Path)) -> PathBuf {
        self.versions += 1;
        let version = format!("..v{}", self.versions);
        let folder = self.path(&version);
        std::fs::create_dir(&folder).unwrap();
        let files = certificate::write(&folder);
        spoil(&folder);
        symlink(&version, self.path("..next")).unwrap();
        std::fs::rename(self.path("..next"), self.path("..data")).unwrap();
        files.ca
    }

    fn ca(&self) -> PathBuf {
        self.path(&format!("..v{}", self.versions)).join("ca.pem")
    }
}

async fn start(arguments: &[&str]) -> (Vendor, World, Mounted, Gateway) {
    let vendor = Vendor::start(Config::default());
    let world = World::of(&vendor);
    world.put("caller", &key("caller", &budget("100")));
    let mounted = Mounted::new();
    let (certificate, key) = (mounted.path("server.pem"), mounted.path("server.key"));
    let pair = ["--tls-cert", certificate.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
    let gateway = Gateway::start_with(&world, &[&pair[..], arguments].concat()).await;
    (vendor, world, mounted, gateway)
}

fn door(gateway: &Gateway, protocol: Protocol, ca: &Path) -> Door {
    Door::secure(gateway.traffic, protocol, ca)
}

fn client(gateway: &Gateway, protocol: Protocol, ca: &Path) -> Client {
    Client::by(door(gateway, protocol, ca), &token("caller"))
}

async fn refused(gateway: &Gateway, reason: &str) -> u64 {
    admin_number(gateway, &format!("smartflow_tls_handshakes_refused_total{{reason=\"{reason}\"}}")).await
}

#[tokio::test]
async fn both_protocols_are_spoken_over_tls_as_the_caller_wishes() {
    let (_vendor, _world, mounted, gateway) = start(&[]).await;
    for (protocol, name) in [(Protocol::Http1, &b"http/1.1"[..]), (Protocol::Http2, b"h2")] {
        let tls = door(&gateway, protocol, &mounted.ca()).shake().await.unwrap();
        assert_eq!(tls.get_ref().1.alpn_protocol(), Some(name));
        let client = client(&gateway, protocol, &mounted.ca());
        for _ in 0..3 {
            let answer = client.chat(&ask("mock-small", "[[tokens=5]]")).await.expect_status(200);
            assert_eq!(answer.json()["usage"]["completion_tokens"], 5);
        }
        let told = client.stream(&ask("mock-small", "[[tokens=50]]")).await.unwrap().all().await;
        assert_eq!((told.deltas, told.done), (50, true), "{told:?}");
        let text = "z".repeat(200_000);
        client.chat(&ask("mock-small", &text)).await.expect_status(200);
        client.chat(&ask("mock-small", &"z".repeat(10_000_000))).await.expect_error(
            413,
            "invalid_request_error",
            "body_too_large",
        );
    }
}

#[tokio::test]
async fn a_new_certificate_serves_at_once_and_calls_under_way_go_on() {
    let (_vendor, _world, mut mounted, gateway) = start(&[]).await;
    let old = mounted.ca();
    let first = client(&gateway, Protocol::Http2, &old);
    let mut stream = first.stream(&ask("mock-small", "[[tokens=100 delay_ms=20]]")).await.unwrap();
    assert_eq!(stream.read(3).await.deltas, 3);
    let new = mounted.swap(|_| ());
    let start = Instant::now();
    let serves = || async { door(&gateway, Protocol::Http1, &new).shake().await.is_ok() };
    gateway.until("the new certificate", Duration::from_secs(5), serves).await;
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    let why = door(&gateway, Protocol::Http1, &old).shake().await.unwrap_err();
    assert!(why.contains("certificate"), "{why}");
    let told = stream.read(u64::MAX).await;
    assert_eq!((told.deltas, told.done), (97, true), "{told:?}");
    assert_eq!(admin_number(&gateway, "smartflow_tls_certificates_total").await, 2);
    let ends = admin_number(&gateway, "smartflow_tls_certificate_expiry_timestamp_seconds").await;
    let date = Command::new("openssl")
        .args(["x509", "-noout", "-enddate", "-dateopt", "iso_8601", "-in"])
        .arg(mounted.path("server.pem"))
        .output();
    if let Ok(date) = date {
        let said = String::from_utf8_lossy(&date.stdout).into_owned();
        let said = said.trim().strip_prefix("notAfter=").unwrap().to_owned();
        let seconds = Command::new("date").args(["-u", "+%s", "-d", &said]).output().unwrap();
        let seconds: u64 = String::from_utf8_lossy(&seconds.stdout).trim().parse().unwrap();
        assert_eq!(ends, seconds, "{said}");
    }
}

#[tokio::test]
async fn a_broken_pair_keeps_the_old_one_and_is_told_and_counted() {
    let (_vendor, _world, mut mounted, gateway) = start(&[]).await;
    let good = mounted.ca();
    let count = || async { admin_number(&gateway, "smartflow_tls_certificates_refused_total").await };
    let canary = "c2VjcmV0LWNhbmFyeS1vZi1hLWtleQ";
    mounted.swap(|folder| std::fs::write(folder.join("server.key"), canary).unwrap());
    gateway.until("the first fault", Duration::from_secs(5), || async { count().await == 1 }).await;
    let client = client(&gateway, Protocol::Http1, &good);
    client.chat(&ask("mock-small", "hi")).await.expect_status(200);
    mounted.swap(|folder| {
        let other = tempfile::tempdir().unwrap();
        let files = certificate::write(other.path());
        std::fs::copy(files.key, folder.join("server.key")).unwrap();
    });
    gateway.until("the second fault", Duration::from_secs(5), || async { count().await == 2 }).await;
    door(&gateway, Protocol::Http1, &good).shake().await.unwrap();
    let log = gateway.log();
    assert!(log.contains("server.key holds no private key"), "{log}");
    assert!(log.contains("does not belong to the first certificate"), "{log}");
    assert!(!log.contains(&canary[..12]), "the key's file is never quoted");
    let new = mounted.swap(|_| ());
    let serves = || async { door(&gateway, Protocol::Http1, &new).shake().await.is_ok() };
    gateway.until("the next good one", Duration::from_secs(5), serves).await;
}

#[tokio::test]
async fn who_does_not_speak_tls_is_told_so() {
    let (vendor, _world, _mounted, gateway) = start(&[]).await;
    let body = ask("mock-small", &"z".repeat(300_000)).to_string();
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        token("caller"),
        body.len()
    );
    let answer = exchange(gateway.traffic, request.as_bytes(), LIMIT).await;
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert_eq!(answer.json()["error"]["code"], "https_required", "{}", answer.text);
    assert!(answer.json()["error"]["message"].as_str().unwrap().contains("https://"), "{}", answer.text);
    gateway.until("it to be counted", LIMIT, || async { refused(&gateway, "plaintext").await == 1 }).await;
    assert_eq!(vendor.calls().len(), 0);
}

#[tokio::test]
async fn who_says_nothing_or_only_half_is_closed_and_leaves_room_for_others() {
    let arguments = ["--client-timeout", "2s", "--max-connections", "8", "--threads", "1"];
    let (_vendor, _world, mounted, gateway) = start(&arguments).await;
    let mut silent = Vec::new();
    for n in 0..4 {
        let mut stream = TcpStream::connect(gateway.traffic).await.unwrap();
        if n % 2 == 0 {
            // The beginning of a handshake that never goes on.
            stream.write_all(&[22, 3, 1, 1, 0, 1]).await.unwrap();
        }
        silent.push(stream);
    }
    let start = Instant::now();
    // Half of the connections may be shaking hands; the others have a place all the same: the next one is closed at once.
    let crowded = || async {
        let mut stream = TcpStream::connect(gateway.traffic).await.unwrap();
        matches!(stream.read(&mut [0]).await, Ok(0) | Err(_))
    };
    assert!(crowded().await);
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    gateway.until("it to be counted", LIMIT, || async { refused(&gateway, "crowded").await == 1 }).await;
    for mut stream in silent {
        let closed = tokio::time::timeout(LIMIT, stream.read(&mut [0; 64])).await.unwrap();
        assert!(matches!(closed, Ok(0..=64) | Err(_)));
    }
    assert!(start.elapsed() > Duration::from_millis(1500), "{:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    let slow = || async { refused(&gateway, "timeout").await == 4 };
    gateway.until("four that were too slow", LIMIT, slow).await;
    client(&gateway, Protocol::Http1, &mounted.ca()).chat(&ask("mock-small", "hi")).await.expect_status(200);
    // After the handshake the limits of a connection hold: this one never sends a request.
    let tls = door(&gateway, Protocol::Http2, &mounted.ca()).shake().await.unwrap();
    let start = Instant::now();
    let _ = Raw::over(tls, &[]).await.rest(LIMIT).await;
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    let mut garbage = TcpStream::connect(gateway.traffic).await.unwrap();
    garbage.write_all(&[22, 3, 1, 0, 4, 9, 9, 9, 9]).await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(LIMIT, garbage.read_to_end(&mut answer)).await.unwrap();
    gateway.until("it to be counted", LIMIT, || async { refused(&gateway, "failed").await == 1 }).await;
}

/// Starts the gateway, which is to refuse: its exit code and what it said.
fn refuses(world: &World, arguments: &[&str]) -> (Option<i32>, String) {
    let data = tempfile::tempdir().unwrap();
    let done = Command::new(binary())
        .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--world"])
        .arg(world.path())
        .arg("--data-dir")
        .arg(data.path().join("data"))
        .args(arguments)
        .output()
        .unwrap();
    (done.status.code(), String::from_utf8(done.stderr).unwrap())
}

#[tokio::test]
async fn a_gateway_without_a_usable_pair_does_not_start_and_says_why() {
    let world = World::new();
    let mounted = Mounted::new();
    let (certificate, key) = (mounted.path("server.pem"), mounted.path("server.key"));
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let (code, said) = refuses(&world, &["--tls-cert", certificate]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--tls-key"), "{said}");
    let (code, said) = refuses(&world, &["--tls-cert", key, "--tls-key", key]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("--tls-cert:") && said.contains("holds no certificate"), "{said}");
    let (code, said) = refuses(&world, &["--tls-cert", certificate, "--tls-key", "/nowhere/tls.key"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("--tls-key: cannot read /nowhere/tls.key"), "{said}");
}

#[tokio::test]
async fn curl_speaks_every_protocol() {
    let curl = |arguments: &[&str]| {
        let done = Command::new("curl").args(["-sS", "--max-time", "10"]).args(arguments).output();
        let done = done.ok()?;
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        Some((String::from_utf8_lossy(&done.stdout).into_owned(), said))
    };
    let Some((version, _)) = curl(&["--version"]) else {
        eprintln!("curl is not installed: nothing was tried");
        return;
    };
    let (_vendor, _world, mounted, gateway) = start(&[]).await;
    let plain = {
        let world = World::new();
        Gateway::start(&world).await
    };
    let ca = mounted.ca();
    let secure = format!("https://{}/readyz", gateway.traffic);
    let clear = format!("http://{}/readyz", plain.traffic);
    let told = ["-w", " %{http_version}"];
    let with_ca = ["--cacert", ca.to_str().unwrap()];
    let mut cases = vec![(vec!["--http1.1", &*secure], "1.1"), (vec!["--http1.1", &*clear], "1.1")];
    if version.contains("HTTP2") {
        cases.push((vec!["--http2", &*secure], "2"));
        cases.push((vec!["--http2-prior-knowledge", &*clear], "2"));
        // Asks for an upgrade, which is not taken: an ordinary answer.
        cases.push((vec!["--http2", &*clear], "1.1"));
    }
    for (arguments, expected) in cases {
        let (said, error) = curl(&[&told[..], &with_ca, &arguments].concat()).unwrap();
        assert_eq!(said, format!("{{\"status\":\"ready\"}}\n {expected}"), "{arguments:?}: {error}");
    }
    let wrong = format!("http://{}/readyz", gateway.traffic);
    let (said, _) = curl(&[&wrong]).unwrap();
    assert!(said.contains("write https://"), "{said}");
    let (_, error) = curl(&[&secure]).unwrap();
    assert!(error.contains("certificate"), "an unknown authority is refused: {error}");
}

async fn over_tls(sdk: Sdk) {
    let (vendor, world, mounted, gateway) = start(&[]).await;
    world.put("spent", &key("spent", &budget("0.001")));
    let spent = Client::by(door(&gateway, Protocol::Http1, &mounted.ca()), &token("spent"));
    let known = || async { spent.get("/v1/usage").await.status == 200 };
    gateway.until("the second key", LIMIT, known).await;
    crate::sdk::exhaust(&spent, "mock-small").await;
    let target = Target {
        path: "gateway",
        base_url: format!("https://{}/v1", gateway.traffic),
        ca: Some(mounted.ca()),
        api_key: token("caller"),
        vendor: format!("http://{}", vendor.addr),
        spent_key: token("spent"),
        chat: "mock-small".into(),
        embed: "mock-embed".into(),
        ..Target::default()
    };
    let ran = tokio::task::spawn_blocking(move || run(sdk, &target)).await;
    ran.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()));
}

#[tokio::test]
async fn python_over_tls_with_an_authority_of_its_own() {
    over_tls(Sdk::Python).await;
}

#[tokio::test]
async fn node_over_tls_with_an_authority_of_its_own() {
    over_tls(Sdk::Node).await;
}
