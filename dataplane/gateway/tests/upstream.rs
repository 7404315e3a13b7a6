//! Calls to providers over real sockets: TLS with HTTP/1.1 and HTTP/2, trust, the proxy, the address guard, deadlines,
//! stale connections, cancellation.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod vendor;

use bytes::Bytes;
use http::HeaderMap;
use smartflow_gateway::upstream::attempt::{Answer, CHAT, COUNT, attempt};
use smartflow_gateway::upstream::deadline::Deadline;
use smartflow_gateway::upstream::pool::Pool;
use smartflow_gateway::upstream::prepared::Network;
use smartflow_gateway::upstream::proxy::Proxy;
use smartflow_gateway::upstream::{Unreachable, Upstream, tls};
use smartflow_snapshot::{
    Auth, Concurrency, Endpoint, Namespaces, ObjectName, Protocol, Provider, Secret, Timeouts,
};
use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use vendor::{Behaviour, Vendor};

fn provider(base_url: &str, ca: Option<&str>) -> Provider {
    let s = Duration::from_secs;
    Provider {
        name: ObjectName::new("default", "vendor"),
        catalog: "openai-compatible".into(),
        protocol: Protocol::OpenAi,
        habits: Box::default(),
        base_url: base_url.into(),
        endpoints: Box::default(),
        concurrency: None,
        auth: Auth::ApiKey {
            header: "authorization".into(),
            prefix: "Bearer ".into(),
            secret: Secret::new("sk-upstream"),
        },
        headers: Box::new([("x-fixed".into(), "yes".into())]),
        models: Box::default(),
        timeouts: Timeouts { connect: s(5), first_byte: s(5), idle: s(5), total: s(20) },
        allow_private: true,
        ca: ca.map(Into::into),
        access: Namespaces::All,
    }
}

fn pool(provider: Provider, proxy: Option<Proxy>) -> Rc<Pool> {
    let network = Network { extra: Vec::new(), tls: tls::client(&[], "test").unwrap(), proxy };
    Pool::new(Arc::new(Upstream::prepare(&Arc::new(provider), &network, None).unwrap()))
}

async fn call(pool: &Rc<Pool>) -> Result<Box<Answer>, Unreachable> {
    let mut deadline = Deadline::start(&pool.upstream.provider.timeouts, tokio::time::Instant::now());
    let (headers, body, sent) = (HeaderMap::new(), Bytes::from_static(b"{}"), Cell::new(false));
    attempt(pool, "/chat/completions", &headers, body, &mut deadline, &sent).await
}

async fn body(mut answer: Box<Answer>) -> Bytes {
    let mut all = Vec::new();
    while let Some(piece) = poll_fn(|cx| answer.body.poll_data(cx)).await {
        all.extend_from_slice(&piece.unwrap());
    }
    all.into()
}

fn run<F: Future<Output = ()>>(test: F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        tokio::time::timeout(Duration::from_secs(30), test).await.expect("the test takes too long");
    });
}

#[test]
fn http2_calls_share_a_connection_and_carry_the_credential() {
    run(async {
        let vendor = Vendor::tls(Behaviour::Answer, &[b"h2"]).await;
        let pool = pool(provider(&vendor.url("https"), Some(&vendor.ca)), None);
        assert_eq!(body(call(&pool).await.unwrap()).await, "{\"ok\":true}");
        let mut answers = Vec::new();
        for _ in 0..20 {
            answers.push(call(&pool).await.unwrap());
        }
        for answer in answers {
            assert_eq!(body(answer).await, "{\"ok\":true}");
        }
        assert_eq!((vendor.connections(), vendor.requests()), (1, 21));
        let seen = vendor.last();
        assert_eq!(seen.uri.path(), "/v1/chat/completions");
        assert_eq!(seen.version, http::Version::HTTP_2);
        assert_eq!(seen.headers["authorization"], "Bearer sk-upstream");
        assert_eq!(seen.headers["x-fixed"], "yes");
        assert!(seen.headers.get("host").is_none());
    });
}

#[test]
fn http1_over_tls_reuses_its_connection() {
    run(async {
        let vendor = Vendor::tls(Behaviour::Answer, &[b"http/1.1"]).await;
        let pool = pool(provider(&vendor.url("https"), Some(&vendor.ca)), None);
        for _ in 0..5 {
            assert_eq!(body(call(&pool).await.unwrap()).await, "{\"ok\":true}");
        }
        assert_eq!((vendor.connections(), vendor.requests()), (1, 5));
    });
}

#[test]
fn an_unknown_certificate_is_refused() {
    run(async {
        let vendor = Vendor::tls(Behaviour::Answer, &[b"h2"]).await;
        let pool = pool(provider(&vendor.url("https"), None), None);
        assert!(matches!(call(&pool).await, Err(Unreachable::Tls { .. })));
        assert_eq!(vendor.requests(), 0);
    });
}

#[test]
fn private_addresses_need_permission_also_by_name() {
    run(async {
        let vendor = Vendor::plain(Behaviour::Answer).await;
        for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
            let url = format!("http://{host}:{}/v1", vendor.port);
            let guarded = pool(Provider { allow_private: false, ..provider(&url, None) }, None);
            assert!(matches!(call(&guarded).await, Err(Unreachable::Refused { .. })), "{host}");
        }
        assert_eq!(vendor.connections(), 0);
        assert!(call(&pool(provider(&vendor.url("http"), None), None)).await.is_ok());
    });
}

#[test]
fn a_redirect_is_an_answer_and_not_followed() {
    run(async {
        let vendor = Vendor::plain(Behaviour::Redirect).await;
        let pool = pool(provider(&vendor.url("http"), None), None);
        assert_eq!(call(&pool).await.unwrap().status, 302);
        assert_eq!(vendor.requests(), 1);
    });
}

#[test]
fn https_goes_through_the_proxy_and_exempt_hosts_do_not() {
    run(async {
        let vendor = Vendor::tls(Behaviour::Answer, &[b"h2"]).await;
        let proxy = vendor::proxy().await;
        let setting = format!("http://user:secret@127.0.0.1:{}", proxy.port);
        let through = Proxy::parse(Some(&setting), "").unwrap();
        let tunnelled = pool(provider(&vendor.url("https"), Some(&vendor.ca)), through);
        assert_eq!(body(call(&tunnelled).await.unwrap()).await, "{\"ok\":true}");
        assert_eq!(proxy.asked(), vec![format!("CONNECT localhost:{} Basic dXNlcjpzZWNyZXQ=", vendor.port)]);
        let exempt = Proxy::parse(Some(&setting), "localhost").unwrap();
        let direct = pool(provider(&vendor.url("https"), Some(&vendor.ca)), exempt);
        assert!(call(&direct).await.is_ok());
        assert_eq!(proxy.asked().len(), 1);
    });
}

#[test]
fn a_proxy_that_refuses_is_named() {
    run(async {
        let vendor = Vendor::tls(Behaviour::Answer, &[b"h2"]).await;
        let proxy = vendor::refusing_proxy().await;
        let setting = format!("http://127.0.0.1:{}", proxy.port);
        let through = Proxy::parse(Some(&setting), "").unwrap();
        let pool = pool(provider(&vendor.url("https"), Some(&vendor.ca)), through);
        match call(&pool).await {
            Err(Unreachable::Proxy { answer, .. }) => assert!(answer.contains("403"), "{answer}"),
            other => panic!("{:?}", other.err()),
        }
    });
}

#[test]
fn silence_before_and_within_an_answer_ends_at_its_deadline() {
    run(async {
        let short = |p: Provider| Provider {
            timeouts: Timeouts { first_byte: Duration::from_millis(80), ..p.timeouts },
            ..p
        };
        let mute = Vendor::plain(Behaviour::Mute).await;
        let silent = pool(short(provider(&mute.url("http"), None)), None);
        let Err(Unreachable::Timeout { step, .. }) = call(&silent).await else { panic!("no timeout") };
        assert_eq!(step, "first byte");
        let stalls = Vendor::plain(Behaviour::Stall).await;
        let stalling = pool(provider(&stalls.url("http"), None), None);
        let mut deadline = Deadline::start(&stalling.upstream.provider.timeouts, tokio::time::Instant::now());
        let (headers, sent) = (HeaderMap::new(), Cell::new(false));
        let answer = attempt(&stalling, "/x", &headers, Bytes::new(), &mut deadline, &sent).await;
        let mut answer = answer.unwrap();
        deadline.phase("idle", Duration::from_millis(80));
        let first = deadline.guard(std::pin::pin!(poll_fn(|cx| answer.body.poll_data(cx)))).await.unwrap();
        assert_eq!(first.unwrap().unwrap(), "data");
        let next = deadline.guard(std::pin::pin!(poll_fn(|cx| answer.body.poll_data(cx)))).await;
        assert!(matches!(next, Err(Unreachable::Timeout { step: "idle", .. })));
    });
}

#[test]
fn a_request_counts_as_sent_only_when_there_is_a_connection() {
    run(async {
        // Takes connections and never answers their handshake.
        let deaf = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let deaf = format!("https://127.0.0.1:{}", deaf.local_addr().unwrap().port());
        let mute = Vendor::plain(Behaviour::Mute).await;
        for (url, reaches) in [(deaf, false), (mute.url("http"), true)] {
            let mut quick = provider(&url, None);
            quick.timeouts.first_byte = Duration::from_millis(80);
            let (pool, sent) = (pool(quick, None), Cell::new(false));
            let mut deadline = Deadline::start(&pool.upstream.provider.timeouts, tokio::time::Instant::now());
            let answer = attempt(&pool, "/x", &HeaderMap::new(), Bytes::new(), &mut deadline, &sent).await;
            assert!(matches!(answer, Err(Unreachable::Timeout { step: "first byte", .. })));
            assert_eq!(sent.get(), reaches, "{url}");
        }
    });
}

#[test]
fn a_connection_that_the_provider_closed_is_replaced() {
    run(async {
        let vendor = Vendor::plain(Behaviour::CloseAfterEach).await;
        let pool = pool(provider(&vendor.url("http"), None), None);
        for _ in 0..5 {
            assert_eq!(body(call(&pool).await.unwrap()).await, "{\"ok\":true}");
        }
        assert_eq!((vendor.connections(), vendor.requests()), (5, 5));
    });
}

#[test]
fn an_answer_that_is_dropped_tells_the_provider_to_stop() {
    run(async {
        for alpn in [&b"h2"[..], b"http/1.1"] {
            let vendor = Vendor::tls(Behaviour::Endless, &[alpn]).await;
            let pool = pool(provider(&vendor.url("https"), Some(&vendor.ca)), None);
            let mut answer = call(&pool).await.unwrap();
            assert!(poll_fn(|cx| answer.body.poll_data(cx)).await.unwrap().is_ok());
            drop(answer);
            tokio::time::timeout(Duration::from_secs(1), vendor.stopped())
                .await
                .expect("still sending after 1 s");
        }
    });
}

/// A provider at several places.
fn spread(places: &[(&str, u32)]) -> Provider {
    let endpoints = places.iter().map(|(url, weight)| Endpoint { url: (*url).into(), weight: *weight });
    Provider { endpoints: endpoints.collect(), ..provider(places[0].0, None) }
}

#[test]
fn places_share_the_calls_by_weight() {
    run(async {
        let (a, b) = (Vendor::plain(Behaviour::Answer).await, Vendor::plain(Behaviour::Answer).await);
        let pool = pool(spread(&[(&a.url("http"), 3), (&b.url("http"), 1)]), None);
        for _ in 0..200 {
            assert_eq!(body(call(&pool).await.unwrap()).await, "{\"ok\":true}");
        }
        assert!(
            (148..=152).contains(&a.requests()) && a.requests() + b.requests() == 200,
            "{}",
            a.requests()
        );
        assert_eq!((a.connections(), b.connections()), (1, 1), "each has its own connections");
    });
}

/// An address that nobody listens at.
async fn nobody() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://127.0.0.1:{}/v1", listener.local_addr().unwrap().port())
}

#[test]
fn a_place_that_cannot_be_connected_to_costs_no_call() {
    run(async {
        let vendor = Vendor::plain(Behaviour::Answer).await;
        let dead = nobody().await;
        let pool =
            pool(spread(&[(&dead, 1), (&vendor.url("http"), 1), (&dead.replace("v1", "v2"), 0)]), None);
        for _ in 0..20 {
            assert_eq!(body(call(&pool).await.unwrap()).await, "{\"ok\":true}");
        }
        assert_eq!(vendor.requests(), 20, "nothing was sent twice");
        let [first, second, _] = [&pool.upstream, &pool.upstream.beside[0], &pool.upstream.beside[1]];
        assert!(first.breaker.open_for(0).is_some() && second.breaker.open_for(0).is_none());
    });
}

#[test]
fn where_every_place_is_left_alone_they_are_tried_all_the_same() {
    run(async {
        let (one, two) = (nobody().await, nobody().await);
        let pool = pool(spread(&[(&one, 1), (&two, 1)]), None);
        for _ in 0..3 {
            assert!(matches!(call(&pool).await, Err(Unreachable::Connect { .. })));
        }
        // One of them is back.
        let address = one.trim_start_matches("http://").trim_end_matches("/v1").to_owned();
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let taken = tokio::task::spawn_local(async move { listener.accept().await.is_ok() });
        drop(tokio::time::timeout(Duration::from_millis(100), call(&pool)).await);
        assert!(taken.await.unwrap());
    });
}

#[test]
fn a_provider_gets_no_more_calls_at_once_than_it_may() {
    run(async {
        let vendor = Vendor::plain(Behaviour::Mute).await;
        let wait = Duration::from_millis(50);
        let concurrency = Some(Concurrency { most: 2.try_into().unwrap(), queue: 1, wait });
        let pool = pool(Provider { concurrency, ..provider(&vendor.url("http"), None) }, None);
        let calls: Vec<_> = (0..2)
            .map(|_| {
                let pool = pool.clone();
                tokio::task::spawn_local(async move { call(&pool).await.map(|_| ()) })
            })
            .collect();
        while vendor.requests() < 2 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(call(&pool).await, Err(Unreachable::Busy { waited: Some(_), .. })), "nobody left");
        calls[0].abort();
        while vendor.requests() < 3 {
            let third = tokio::time::timeout(Duration::from_millis(200), call(&pool)).await;
            assert!(!matches!(third, Ok(Ok(_))), "the vendor says nothing");
        }
        assert_eq!(vendor.requests(), 3, "the place of the call that was left is free");
        calls[1].abort();
    });
}

#[test]
fn a_place_is_held_until_the_answer_is_read() {
    run(async {
        let vendor = Vendor::plain(Behaviour::Answer).await;
        let concurrency = Some(Concurrency { most: 1.try_into().unwrap(), queue: 0, wait: Duration::ZERO });
        let pool = pool(Provider { concurrency, ..provider(&vendor.url("http"), None) }, None);
        let unread = call(&pool).await.unwrap();
        assert!(matches!(call(&pool).await, Err(Unreachable::Busy { waited: None, .. })));
        body(unread).await;
        body(call(&pool).await.unwrap()).await;
        drop(call(&pool).await.unwrap());
        assert!(call(&pool).await.is_ok(), "also when it is dropped");
    });
}

#[test]
fn a_provider_that_speaks_anthropics_api_is_asked_where_it_listens() {
    let uris = |url: &str, protocol: Protocol| {
        let declared = Provider { protocol, ..provider(url, None) };
        let network = Network { extra: Vec::new(), tls: tls::client(&[], "test").unwrap(), proxy: None };
        let upstream = Upstream::prepare(&Arc::new(declared), &network, None).unwrap();
        [CHAT, COUNT].map(|path| upstream.uri(path).to_string())
    };
    for url in ["http://llm.example.com/a", "http://llm.example.com/a/v1"] {
        let expected = ["/a/v1/messages", "/a/v1/messages/count_tokens"];
        assert_eq!(uris(url, Protocol::Anthropic), expected, "{url}");
    }
    assert_eq!(uris("http://llm.example.com/v1", Protocol::OpenAi)[0], "/v1/chat/completions");
}

/// A vendor that goes away has often read the next request already, without looking at it.
#[test]
fn a_request_that_an_http2_provider_did_not_take_goes_to_a_new_connection() {
    run(async {
        for refusal in [vendor::Refusal::GoAway, vendor::Refusal::Reset] {
            let vendor = Vendor::refusing(refusal).await;
            let pool = pool(provider(&vendor.url("https"), Some(&vendor.ca)), None);
            for calls in 1..=3 {
                let (answer, sent) = (call(&pool).await.unwrap(), calls);
                assert_eq!(answer.status, 200, "call {sent}");
                drop(body(answer).await);
                // Each connection takes one request and refuses the next one.
                assert_eq!(vendor.connections(), calls);
            }
        }
    });
}

#[test]
fn a_request_that_an_http2_provider_may_have_taken_is_not_sent_again() {
    run(async {
        let vendor = Vendor::refusing(vendor::Refusal::GoAwayAfter).await;
        let pool = pool(provider(&vendor.url("https"), Some(&vendor.ca)), None);
        drop(body(call(&pool).await.unwrap()).await);
        assert!(matches!(call(&pool).await, Err(Unreachable::Broken { .. })));
        assert_eq!(vendor.connections(), 1);
    });
}
