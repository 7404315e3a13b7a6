//! Connections and routes.

use super::record::{Call, End};
use super::reject::Reject;
use super::wire::{Gone, NoRequest, Request, Wire};
use super::{Shared, Speech, anthropic, chat, embeddings};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Serves until `stopped` resolves.
pub(super) fn run(listener: std::net::TcpListener, shared: Arc<Shared>, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async move {
        let listener = TcpListener::from_std(listener).expect("a listener");
        let mut open = JoinSet::new();
        let mut stopped = stopped;
        loop {
            tokio::select! {
                _ = &mut stopped => break,
                Some(_) = open.join_next() => {}
                accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                    open.spawn(connection(stream, Arc::clone(&shared)));
                }
            }
        }
        open.shutdown().await;
    });
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let mut wire = Wire::new(stream);
    loop {
        match wire.request().await {
            Ok(request) => match serve(&mut wire, request, &shared).await {
                Ok(Next::Keep) => {}
                Ok(Next::Close) | Err(Gone) => return,
            },
            Err(NoRequest::Gone) => return,
            Err(NoRequest::Bad(why)) => {
                let request = Request {
                    method: "BAD".into(),
                    path: why.into(),
                    headers: vec![],
                    body: bytes::Bytes::new(),
                };
                let id = shared.journal.add(open_call(&request));
                let reject = Reject::new(400, Some("bad_http"), why);
                let _ = refuse(&mut wire, &shared, id, reject.status, &reject.body()).await;
                return;
            }
        }
    }
}

/// What becomes of a connection after an answer.
pub(super) enum Next {
    Keep,
    Close,
}

async fn serve(wire: &mut Wire, request: Request, shared: &Shared) -> Result<Next, Gone> {
    wire.pieces = None;
    if let Some(query) = request.path.strip_prefix("/__calls") {
        let tag = query.strip_prefix("?tag=");
        let calls = shared.journal.all();
        let brief: Vec<Value> =
            calls.iter().filter(|c| tag.is_none() || c.tag.as_deref() == tag).map(Call::brief).collect();
        respond(wire, shared, 200, &[], &json!(brief)).await?;
        return Ok(Next::Keep);
    }
    let id = shared.journal.add(open_call(&request));
    let done = match shared.config.speech {
        Speech::OpenAi => match authorised(&request, shared) {
            Err(reject) => refuse(wire, shared, id, reject.status, &reject.body()).await.map(|()| Next::Keep),
            Ok(()) => route(wire, &request, shared, id).await,
        },
        Speech::Anthropic => match anthropic::authorised(&request, shared) {
            Err(reject) => refuse(wire, shared, id, reject.status, &reject.body()).await.map(|()| Next::Keep),
            Ok(()) => anthropic::route(wire, &request, shared, id).await,
        },
    };
    if done.is_err() {
        shared.journal.end(id, End::Left);
    }
    done
}

async fn route(wire: &mut Wire, request: &Request, shared: &Shared, id: usize) -> Result<Next, Gone> {
    let path = request.path.split('?').next().unwrap_or_default();
    let checked = match (&*request.method, path) {
        ("POST", "/v1/chat/completions") => match is_json(request) {
            Ok(()) => return chat::answer(wire, &request.body, shared, id).await,
            Err(reject) => Err(reject),
        },
        ("POST", "/v1/embeddings") => match is_json(request) {
            Ok(()) => return embeddings::answer(wire, &request.body, shared, id).await,
            Err(reject) => Err(reject),
        },
        ("GET", "/v1/models") => {
            let data: Vec<Value> = shared.config.models.iter().map(|m| model(&m.name)).collect();
            Ok(json!({"object": "list", "data": data}))
        }
        _ => Err(Reject::new(404, Some("unknown_url"), format!("Invalid URL ({} {path})", request.method))),
    };
    match checked {
        Ok(body) => {
            respond(wire, shared, 200, &[], &body).await?;
            shared.journal.end(id, End::Complete);
        }
        Err(reject) => refuse(wire, shared, id, reject.status, &reject.body()).await?,
    }
    Ok(Next::Keep)
}

fn model(name: &str) -> Value {
    json!({"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "mock"})
}

fn authorised(request: &Request, shared: &Shared) -> Result<(), Reject> {
    let given: Vec<&str> =
        request.headers.iter().filter(|(n, _)| n == "authorization").map(|(_, v)| v.as_str()).collect();
    match given[..] {
        [] => Err(Reject::new(401, None, "You didn't provide an API key.")),
        [one] if one.strip_prefix("Bearer ").is_some_and(|k| shared.config.keys.iter().any(|x| x == k)) => {
            Ok(())
        }
        _ => Err(Reject::new(401, Some("invalid_api_key"), "Incorrect API key provided: sk-x***xxxx.")),
    }
}

fn is_json(request: &Request) -> Result<(), Reject> {
    let given = request.headers.iter().find(|(n, _)| n == "content-type").map_or("", |(_, v)| v);
    if given.split(';').next().is_some_and(|t| t.trim().eq_ignore_ascii_case("application/json")) {
        return Ok(());
    }
    let message =
        format!("Unsupported content type: '{given}'. This API method only accepts 'application/json'.");
    Err(Reject::new(400, Some("unsupported_content_type"), message))
}

/// Sends a refusal and notes it.
pub(super) async fn refuse(
    wire: &mut Wire,
    shared: &Shared,
    id: usize,
    status: u16,
    body: &Value,
) -> Result<(), Gone> {
    respond(wire, shared, status, &[], body).await?;
    shared.journal.end(id, End::Refused(status));
    Ok(())
}

/// Sends a JSON answer with its length.
pub(super) async fn respond(
    wire: &mut Wire,
    shared: &Shared,
    status: u16,
    headers: &[(&str, String)],
    body: &Value,
) -> Result<(), Gone> {
    let body = body.to_string();
    let mut answer = head(shared, status, "application/json", headers);
    answer.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    wire.send(answer.as_bytes()).await
}

/// Status line and headers, without the empty line.
pub(super) fn head(shared: &Shared, status: u16, content_type: &str, headers: &[(&str, String)]) -> String {
    let own = match shared.config.speech {
        Speech::OpenAi => "openai-version: 2020-10-01\r\nx-request-id: req_mock",
        Speech::Anthropic => "anthropic-organization-id: org_mock\r\nrequest-id: req_mock",
    };
    let mut head = format!(
        "HTTP/1.1 {status} Mock\r\ncontent-type: {content_type}\r\n{own}\r\n\
         set-cookie: __cf_bm=vendor-cookie\r\n"
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head
}

fn open_call(request: &Request) -> Call {
    Call {
        id: 0,
        at: Instant::now(),
        method: request.method.clone(),
        path: request.path.clone(),
        headers: request.headers.clone(),
        body: request.body.clone(),
        tag: None,
        model: None,
        stream: false,
        images: (0, 0),
        prompt: 0,
        cached: 0,
        written: 0,
        thoughts: 0,
        marks: 0,
        served: 0,
        reported: None,
        end: End::Open,
        ended: None,
    }
}
