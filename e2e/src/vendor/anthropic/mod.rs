//! Anthropic's messages, token counts and models: the keys and headers that it asks for, and its routes.

mod answer;
mod block;
mod content;
mod reject;
mod reply;
mod request;
mod thought;
mod tool;

pub(super) use reject::Reject;

use super::Shared;
use super::record::End;
use super::serve::{Next, refuse, respond};
use super::wire::{Gone, Request, Wire};
use serde_json::{Value, json};

/// The versions that it knows.
const VERSIONS: [&str; 2] = ["2023-06-01", NEWER];

/// The version that newer SDKs send. What a model samples with cannot be chosen any more.
const NEWER: &str = "2026-10-21";

/// What the headers of a request say of its body.
#[derive(Clone, Copy)]
struct Ways {
    /// It is of the newer version.
    newer: bool,
    /// `system` may be a role, but for the first message.
    system_turns: bool,
}

impl Ways {
    fn of(request: &Request) -> Self {
        let betas = header(request, "anthropic-beta");
        let system_turns = betas.iter().any(|b| b.contains("mid-conversation-system"));
        Self { newer: header(request, "anthropic-version") == [NEWER], system_turns }
    }
}

/// Answers one request.
pub(super) async fn route(
    wire: &mut Wire,
    request: &Request,
    shared: &Shared,
    id: usize,
) -> Result<Next, Gone> {
    let path = request.path.split('?').next().unwrap_or_default();
    let checked = match (&*request.method, path) {
        ("POST", "/v1/messages" | "/v1/messages/count_tokens") => match asks_right(request) {
            Ok(()) if path.ends_with("tokens") => {
                return answer::count(wire, request, shared, id).await;
            }
            Ok(()) => return answer::message(wire, request, shared, id).await,
            Err(reject) => Err(reject),
        },
        ("GET", "/v1/models") => versioned(request).map(|()| models(shared)),
        ("GET", _) if path.starts_with("/v1/models/") => {
            versioned(request).and_then(|()| one_model(path, shared))
        }
        _ => Err(Reject::new(404, "Not Found")),
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

fn header<'a>(request: &'a Request, name: &str) -> Vec<&'a str> {
    request.headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect()
}

/// One good key, in `x-api-key` or as a bearer, and none beside it.
pub(super) fn authorised(request: &Request, shared: &Shared) -> Result<(), Reject> {
    let good = |key: &str| shared.config.keys.iter().any(|k| k == key);
    match (&header(request, "x-api-key")[..], &header(request, "authorization")[..]) {
        ([], []) => Err(Reject::new(401, "x-api-key header is required")),
        ([key], []) if good(key) => Ok(()),
        ([], [bearer]) if bearer.strip_prefix("Bearer ").is_some_and(good) => Ok(()),
        ([], [_]) => Err(Reject::new(401, "Invalid bearer token")),
        _ => Err(Reject::new(401, "invalid x-api-key")),
    }
}

fn versioned(request: &Request) -> Result<(), Reject> {
    match header(request, "anthropic-version")[..] {
        [version] if VERSIONS.contains(&version) => Ok(()),
        [] => Err(Reject::new(400, "anthropic-version: header is required")),
        [other, ..] => {
            Err(Reject::new(400, format!("anthropic-version: \"{other}\" is not a valid version")))
        }
    }
}

fn asks_right(request: &Request) -> Result<(), Reject> {
    versioned(request)?;
    let kind = header(request, "content-type").first().copied().unwrap_or_default();
    if kind.split(';').next().is_some_and(|t| t.trim().eq_ignore_ascii_case("application/json")) {
        return Ok(());
    }
    Err(Reject::new(415, format!("Unsupported media type: '{kind}'")))
}

fn model(name: &str, most: u64) -> Value {
    json!({
        "type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z",
        "lifecycle": "active", "max_input_tokens": 200_000, "max_tokens": most,
    })
}

fn models(shared: &Shared) -> Value {
    let data: Vec<Value> = shared.config.models.iter().map(|m| model(&m.name, m.max_output)).collect();
    let id = |m: Option<&Value>| m.map_or(Value::Null, |m| m["id"].clone());
    json!({"first_id": id(data.first()), "last_id": id(data.last()), "has_more": false, "data": data})
}

fn one_model(path: &str, shared: &Shared) -> Result<Value, Reject> {
    let name = path.trim_start_matches("/v1/models/");
    let found = shared.config.models.iter().find(|m| m.name == name);
    found.map(|m| model(&m.name, m.max_output)).ok_or_else(|| Reject::new(404, format!("model: {name}")))
}
