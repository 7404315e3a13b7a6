//! HTTP/2 in the clear: what a caller gets over it, and every limit of it.

use crate::admin_number;
use bytes::Bytes;
use serde_json::json;
use smartflow_e2e::client::{Client, ask};
use smartflow_e2e::door::{Connection, Door, Protocol};
use smartflow_e2e::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, RST_STREAM, Raw, SETTINGS,
    WINDOW_UPDATE, block, frame,
};
use smartflow_e2e::gateway::Gateway;
use smartflow_e2e::vendor::{Config, End, Vendor};
use smartflow_e2e::world::{World, budget, key, token};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(20);
/// Error codes (RFC 9113, 7).
const PROTOCOL_ERROR: u32 = 1;
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;
/// Settings.
const MAX_STREAMS: u16 = 3;
const WINDOW: u16 = 4;

async fn start(arguments: &[&str]) -> (Vendor, World, Gateway) {
    let vendor = Vendor::start(Config::default());
    let world = World::of(&vendor);
    world.put("caller", &key("caller", &budget("100")));
    let gateway = Gateway::start_with(&world, arguments).await;
    (vendor, world, gateway)
}

fn client(gateway: &Gateway) -> Client {
    Client::by(Door::new(gateway.traffic, Protocol::Http2), &token("caller"))
}

/// Another caller, over HTTP/1.1, is served.
async fn unharmed(gateway: &Gateway) {
    gateway.client(&token("caller")).chat(&ask("mock-small", "hi")).await.expect_status(200);
}

/// The head of a chat call, with these headers more.
fn head(extra: &[(&str, &str)]) -> Vec<u8> {
    let bearer = format!("Bearer {}", token("caller"));
    let own = [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "gateway"),
        (":path", "/v1/chat/completions"),
        ("authorization", &*bearer),
        ("content-type", "application/json"),
    ];
    block(&[&own[..], extra].concat())
}

/// A whole chat call on `stream`.
fn call(stream: u32, text: &str) -> Vec<u8> {
    call_of("mock-small", stream, text)
}

fn call_of(model: &str, stream: u32, text: &str) -> Vec<u8> {
    let mut body = ask(model, text);
    body["stream"] = json!(true);
    let body = body.to_string();
    let mut bytes = frame(HEADERS, END_HEADERS, stream, &head(&[]));
    bytes.extend(frame(DATA, END_STREAM, stream, body.as_bytes()));
    bytes
}

#[tokio::test]
async fn calls_and_streams_share_one_connection() {
    let (vendor, _world, gateway) = start(&["--threads", "1"]).await;
    let client = client(&gateway).with("te", "trailers");
    let answer = client.chat(&ask("mock-small", "[[tokens=7]]")).await.expect_status(200);
    assert_eq!(answer.json()["usage"]["completion_tokens"], 7, "{}", answer.json());
    assert!(answer.header("x-smartflow-request-id").is_some(), "{:?}", answer.headers);
    let mut running = Vec::new();
    for n in 0..20_u64 {
        let client = client.clone();
        running.push(tokio::spawn(async move {
            let text = format!("[[tokens={} first_ms=300 delay_ms=5]]", 10 + n);
            let told = client.stream(&ask("mock-small", &text)).await.unwrap().all().await;
            assert_eq!((told.deltas, told.done, told.broken), (10 + n, true, false), "{told:?}");
        }));
    }
    vendor
        .until("all at once", LIMIT, |calls| calls.iter().filter(|c| c.end == End::Open).count() == 20)
        .await;
    assert_eq!(admin_number(&gateway, "smartflow_connections").await, 1);
    for call in running {
        call.await.unwrap();
    }
    let body = ask("no-such-model", "x");
    client.chat(&body).await.expect_error(404, "invalid_request_error", "model_not_found");
    let all = || async { gateway.usage().iter().filter(|l| l["outcome"] == "ok").count() == 21 };
    gateway.until("their usage lines", LIMIT, all).await;
}

#[tokio::test]
async fn a_preface_in_pieces_is_still_http2_and_a_long_one_is_not_http1() {
    let (_vendor, _world, gateway) = start(&[]).await;
    let stream = tokio::net::TcpStream::connect(gateway.traffic).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut pieces = Raw::over(Slow(stream), &[]).await;
    let settings = pieces.next(LIMIT).await.unwrap();
    assert_eq!(settings.kind, SETTINGS);
    pieces.send(&call(1, "hi")).await.unwrap();
    loop {
        let frame = pieces.next(LIMIT).await.unwrap();
        assert_ne!(frame.kind, GOAWAY);
        if frame.stream == 1 && frame.flags & END_STREAM != 0 {
            break;
        }
    }
}

/// Writes one byte at a time.
struct Slow(tokio::net::TcpStream);

impl tokio::io::AsyncRead for Slow {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.get_mut().0).poll_read(cx, buf)
    }
}

impl tokio::io::AsyncWrite for Slow {
    fn poll_write(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        data: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        std::pin::Pin::new(&mut self.get_mut().0).poll_write(cx, &data[..data.len().min(1)])
    }
    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }
    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().unwrap())
}

#[tokio::test]
async fn more_requests_at_a_time_than_allowed_are_refused_and_the_others_served() {
    let (vendor, _world, gateway) = start(&["--max-streams", "4"]).await;
    let mut raw = Raw::connect(gateway.traffic, &[]).await;
    for n in 0..6 {
        raw.send(&call(1 + 2 * n, "[[first_ms=300]]")).await.unwrap();
    }
    let (mut refused, mut ended, mut told, mut window, mut all) = (Vec::new(), 0, None, None, 65_535);
    while refused.len() + ended < 6 {
        let frame = raw.next(LIMIT).await.expect("the connection goes on");
        match frame.kind {
            SETTINGS if frame.flags == 0 => {
                let value = |id: u16| frame.payload.chunks(6).find(|s| s[..2] == id.to_be_bytes());
                told = value(MAX_STREAMS).map(|s| number(&s[2..]));
                window = value(WINDOW).map(|s| number(&s[2..]));
            }
            WINDOW_UPDATE if frame.stream == 0 => all += number(&frame.payload),
            // Their bodies, which come too late, are answered with resets, too.
            RST_STREAM if refused.iter().all(|(stream, _)| *stream != frame.stream) => {
                refused.push((frame.stream, frame.code()));
            }
            DATA | HEADERS if frame.flags & END_STREAM != 0 => ended += 1,
            _ => {}
        }
    }
    assert_eq!(told, Some(4));
    // What a caller may have under way unread: of one body, and of all together (some of it was read and given back).
    assert_eq!(window, Some(256 * 1024));
    assert!((1_048_576..1_100_000).contains(&all), "{all}");
    assert_eq!(refused, [(9, REFUSED_STREAM), (11, REFUSED_STREAM)]);
    assert_eq!(vendor.calls().len(), 4, "what was refused did not happen");
}

#[tokio::test]
async fn headers_beyond_the_limit_are_refused() {
    let (vendor, _world, gateway) = start(&[]).await;
    let client = client(&gateway);
    let fits = client.clone().with("x-long", &"h".repeat(50_000));
    fits.chat(&ask("mock-small", "hi")).await.expect_status(200);
    let long = client.clone().with("x-long", &"h".repeat(70_000));
    let answer = long.chat(&ask("mock-small", "hi")).await;
    assert_eq!(answer.status, 431);
    client.chat(&ask("mock-small", "hi")).await.expect_status(200);
    // A head without an end: more and more of it, never the last piece.
    let mut raw = Raw::connect(gateway.traffic, &[]).await;
    raw.send(&frame(HEADERS, 0, 1, &head(&[]))).await.unwrap();
    let piece = frame(CONTINUATION, 0, 1, &block(&[("x-more", &"h".repeat(16_000))]));
    let mut sent = 0;
    while raw.send(&piece).await.is_ok() {
        sent += 1;
        assert!(sent < 2_000, "32 MB of head were taken");
    }
    assert_eq!(vendor.calls().len(), 2);
    unharmed(&gateway).await;
}

#[tokio::test]
async fn heads_that_http2_forbids_are_refused() {
    let (vendor, _world, gateway) = start(&[]).await;
    let bad: [Vec<u8>; 6] = [
        head(&[("transfer-encoding", "chunked")]),
        head(&[("connection", "close")]),
        head(&[("X-Upper", "x")]),
        head(&[(":path", "/v1/models")]),
        block(&[
            (":scheme", "http"),
            (":path", "/v1/chat/completions"),
            ("content-type", "application/json"),
        ]),
        head(&[("content-length", "3"), ("content-length", "5")]),
    ];
    for (n, head) in bad.iter().enumerate() {
        let mut raw = Raw::connect(gateway.traffic, &[]).await;
        let body = ask("mock-small", "hi").to_string();
        let mut bytes = frame(HEADERS, END_HEADERS, 1, head);
        bytes.extend(frame(DATA, END_STREAM, 1, body.as_bytes()));
        bytes.extend(call(3, "[[tag=good]]"));
        raw.send(&bytes).await.unwrap();
        let (mut refused, mut served) = (None, false);
        while let Some(frame) = raw.next(LIMIT).await {
            match frame {
                Frame { kind: RST_STREAM | GOAWAY, stream: 0 | 1, .. } => refused = Some(frame.code()),
                Frame { kind: HEADERS, stream: 1, .. } => panic!("case {n} was answered"),
                Frame { stream: 3, flags, .. } if flags & END_STREAM != 0 => {
                    served = true;
                    break;
                }
                _ => {}
            }
        }
        assert_eq!(refused, Some(PROTOCOL_ERROR), "case {n}");
        // A name in capitals ends the connection; the others end their stream only.
        assert_eq!(served, n != 2, "case {n}");
    }
    assert_eq!(vendor.calls().len(), vendor.tagged("good").len());
}

#[tokio::test]
async fn bodies_are_bounded_as_over_http1() {
    let (vendor, _world, gateway) = start(&["--client-timeout", "1s"]).await;
    let client = client(&gateway);
    let answer = client.chat(&ask("mock-small", &"z".repeat(10_000_000))).await;
    answer.expect_error(413, "invalid_request_error", "body_too_large");
    assert!(answer.header("connection").is_none());
    let told = |frames: &[Frame]| {
        let data = frames.iter().filter(|f| f.kind == DATA && f.stream == 1).flat_map(|f| f.payload.clone());
        String::from_utf8(data.collect()).unwrap()
    };
    // A body that stops within, and one that is shorter than it says: neither may reach a provider.
    let mut raw = Raw::connect(gateway.traffic, &[]).await;
    let mut bytes = frame(HEADERS, END_HEADERS, 1, &head(&[]));
    bytes.extend(frame(DATA, 0, 1, br#"{"model":"mock-small","#));
    raw.send(&bytes).await.unwrap();
    let start = Instant::now();
    let frames = raw.rest(LIMIT).await;
    assert!(told(&frames).contains("body_timeout"), "{frames:?}");
    assert!(start.elapsed() < Duration::from_secs(10));
    let mut raw = Raw::connect(gateway.traffic, &[]).await;
    let whole = ask("mock-small", "hi").to_string();
    let longer = (whole.len() + 5).to_string();
    let mut bytes = frame(HEADERS, END_HEADERS, 1, &head(&[("content-length", &longer)]));
    bytes.extend(frame(DATA, END_STREAM, 1, whole.as_bytes()));
    raw.send(&bytes).await.unwrap();
    let frames = raw.rest(LIMIT).await;
    let reset = frames.iter().find(|f| f.kind == RST_STREAM && f.stream == 1).map(Frame::code);
    assert!(reset == Some(PROTOCOL_ERROR) || told(&frames).contains("body_incomplete"), "{frames:?}");
    assert_eq!(vendor.calls().len(), 0);
}

#[tokio::test]
async fn a_flood_of_resets_ends_the_connection_and_reaches_no_provider() {
    let (vendor, _world, gateway) = start(&[]).await;
    let mut raw = Raw::connect(gateway.traffic, &[]).await;
    let mut flood = Vec::new();
    for n in 0..1_000 {
        flood.extend(call(1 + 2 * n, "[[first_ms=5000]]"));
        flood.extend(frame(RST_STREAM, 0, 1 + 2 * n, &8_u32.to_be_bytes()));
    }
    // It may be closed before all is sent.
    let _ = raw.send(&flood).await;
    let frames = raw.rest(LIMIT).await;
    let away = frames.iter().find(|f| f.kind == GOAWAY);
    assert!(away.is_none_or(|f| f.code() == ENHANCE_YOUR_CALM), "{away:?}");
    assert!(vendor.calls().len() < 250, "{} calls were made", vendor.calls().len());
    unharmed(&gateway).await;
}

async fn taken_back(gateway: &Gateway, vendor: &Vendor, count: usize) -> Connection {
    let mut connection = Door::new(gateway.traffic, Protocol::Http2).open().await.unwrap();
    let before = vendor.calls().len();
    let mut calls = Vec::new();
    for _ in 0..count {
        let mut shared = connection.share().unwrap();
        let body = ask("mock-small", "[[first_ms=20000]]").to_string();
        let request = hyper::Request::post(format!("http://{}/v1/chat/completions", gateway.traffic))
            .header("authorization", format!("Bearer {}", token("caller")))
            .header("content-type", "application/json")
            .body(http_body_util::Full::new(Bytes::from(body)))
            .unwrap();
        calls.push(tokio::spawn(async move { shared.send(request).await.map(|_| ()) }));
    }
    vendor.until("all calls", LIMIT, |calls| calls.len() == before + count).await;
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    let left = |calls: &[smartflow_e2e::vendor::Call]| calls.iter().filter(|c| c.end == End::Left).count();
    vendor.until("all to be left", LIMIT, |calls| left(calls) >= before + count).await;
    assert!(connection.share().is_some());
    let _ = connection.ready().await;
    connection
}

#[tokio::test]
async fn who_takes_back_many_calls_is_borne_and_who_takes_back_too_many_is_cut() {
    let (vendor, _world, gateway) = start(&["--max-streams", "500"]).await;
    let cut =
        || async { admin_number(&gateway, "smartflow_http2_connections_cut_total{reason=\"resets\"}").await };
    let mut patient = taken_back(&gateway, &vendor, 100).await;
    assert!(patient.ready().await, "a hundred calls that are given up are no flood");
    assert_eq!(cut().await, 0);
    let mut flooded = taken_back(&gateway, &vendor, 300).await;
    gateway.until("the flood to be cut", LIMIT, || async { cut().await == 1 }).await;
    gateway.until("the connection to be closed", LIMIT, || async { true }).await;
    let closed = async {
        while flooded.ready().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LIMIT, closed).await.unwrap();
    assert!(patient.ready().await, "others are not affected");
    unharmed(&gateway).await;
}

#[tokio::test]
async fn who_takes_nothing_of_an_answer_is_cut_and_his_provider_let_go() {
    let (vendor, _world, gateway) = start(&["--client-timeout", "200ms"]).await;
    let mut raw = Raw::connect(gateway.traffic, &[(WINDOW, 0)]).await;
    raw.send(&call_of("mock-large", 1, "[[tokens=120000 tag=stalled]]")).await.unwrap();
    let start = Instant::now();
    let _ = raw.rest(LIMIT).await;
    assert!(start.elapsed() > Duration::from_secs(1), "{:?}: six timeouts are his", start.elapsed());
    vendor
        .until("the provider to be let go", LIMIT, |calls| {
            calls.iter().any(|c| c.tag.as_deref() == Some("stalled") && c.end == End::Left)
        })
        .await;
    let cut = admin_number(&gateway, "smartflow_http2_connections_cut_total{reason=\"stalled\"}").await;
    assert_eq!(cut, 1);
    // Over HTTP/1.1 as well, once the kernel holds no more.
    let mut stream = gateway
        .client(&token("caller"))
        .stream(&ask("mock-large", "[[tokens=120000 tag=one]]"))
        .await
        .unwrap();
    assert_eq!(stream.read(1).await.deltas, 1);
    vendor
        .until("the provider to be let go", LIMIT, |calls| {
            calls.iter().any(|c| c.tag.as_deref() == Some("one") && c.end == End::Left)
        })
        .await;
    unharmed(&gateway).await;
}

#[tokio::test]
async fn who_reads_slowly_or_waits_for_a_slow_provider_is_not_cut() {
    let (_vendor, _world, gateway) = start(&["--client-timeout", "200ms"]).await;
    // The provider is silent for longer than a caller may be.
    let slow = client(&gateway);
    let silent = ask("mock-small", "[[first_ms=3000]]");
    let waits = slow.chat(&silent);
    // The caller takes a little every now and then: no byte is lost.
    let reads = async {
        let mut raw = Raw::connect(gateway.traffic, &[(WINDOW, 0)]).await;
        raw.send(&call(1, "[[tokens=300]]")).await.unwrap();
        let (mut got, mut over, mut allowed) = (Vec::new(), false, 0);
        while !over {
            let more = 4_000_u32.to_be_bytes();
            let update = [frame(WINDOW_UPDATE, 0, 0, &more), frame(WINDOW_UPDATE, 0, 1, &more)].concat();
            raw.send(&update).await.unwrap();
            allowed += 4_000;
            tokio::time::sleep(Duration::from_millis(150)).await;
            while !over && got.len() < allowed {
                let frame = raw.next(LIMIT).await.expect("the connection goes on");
                if frame.stream == 1 && frame.kind == DATA {
                    got.extend(frame.payload);
                }
                over = frame.stream == 1 && frame.flags & END_STREAM != 0;
            }
        }
        String::from_utf8(got).unwrap()
    };
    let start = Instant::now();
    let (waited, read) = tokio::join!(waits, reads);
    assert_eq!(waited.status, 200);
    assert!(read.ends_with("data: [DONE]\n\n"), "{}", &read[read.len().saturating_sub(200)..]);
    assert!(start.elapsed() > Duration::from_millis(1500), "it took longer than the patience");
}

#[tokio::test]
async fn many_answers_that_nobody_reads_hold_little_memory() {
    let (vendor, _world, gateway) = start(&["--threads", "1"]).await;
    unharmed(&gateway).await;
    let before = gateway.resident_kib();
    let mut raw = Raw::connect(gateway.traffic, &[(WINDOW, 0x7fff_ffff)]).await;
    raw.send(&frame(WINDOW_UPDATE, 0, 0, &(0x7fff_ffff_u32 - 65_535).to_be_bytes())).await.unwrap();
    for n in 0..80 {
        raw.send(&call_of("mock-large", 1 + 2 * n, "[[tokens=60000]]")).await.unwrap();
    }
    vendor.until("all calls", LIMIT, |calls| calls.len() == 81).await;
    // Until nothing moves any more: the vendor's writes are blocked, and it counts what it wrote.
    let served = || vendor.calls().iter().map(|c| c.served).sum::<u64>();
    let mut last = 0;
    while last != served() {
        last = served();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert!(vendor.calls().iter().filter(|c| c.end == End::Open).count() > 40, "they are blocked");
    let grown = gateway.resident_kib().saturating_sub(before);
    assert!(grown < 30 * 1024, "{grown} KiB for 80 answers");
}

#[tokio::test]
async fn an_idle_connection_is_told_to_go_and_one_that_never_asked_is_closed() {
    let (_vendor, _world, gateway) = start(&["--client-timeout", "500ms"]).await;
    let mut silent = Raw::connect(gateway.traffic, &[]).await;
    let mut used = Raw::connect(gateway.traffic, &[]).await;
    used.send(&call(1, "hi")).await.unwrap();
    let start = Instant::now();
    let frames = used.rest(LIMIT).await;
    let away = frames.iter().find(|f| f.kind == GOAWAY).expect("a GOAWAY");
    assert_eq!(away.code(), 0, "{away:?}");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    let _ = silent.rest(LIMIT).await;
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    unharmed(&gateway).await;
}
