//! The admin port: metrics, health, and what every resource's conditions are. Not for callers; it shows no secret.

use crate::worker::Shared;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io;
use std::net::TcpListener;
use std::sync::Arc;

const INDEX: &str = "smartflow-gateway, admin port\n
  /metrics     Prometheus
  /healthz     the process is alive
  /readyz      it serves
  /resources   every resource with its conditions and findings; ?kind=VirtualKey&namespace=default&name=alice
  /snapshot    which configuration serves
";

/// Serves the admin port until aborted.
///
/// # Errors
/// When the listener cannot be handed to the runtime, or accepting fails for good.
pub async fn serve(listener: TcpListener, shared: Arc<Shared>) -> io::Result<()> {
    let router = Router::new()
        .route("/", get(|| async { INDEX }))
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { Json(json!({"status": "ok"})) }))
        .route("/livez", get(|| async { Json(json!({"status": "ok"})) }))
        .route("/readyz", get(ready))
        .route("/resources", get(resources))
        .route("/snapshot", get(snapshot))
        .with_state(shared);
    axum::serve(tokio::net::TcpListener::from_std(listener)?, router).await
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let connections = i64::try_from(shared.drain.connections()).unwrap_or(i64::MAX);
    shared.metrics.connections.set(connections);
    shared.metrics.config.age(shared.reported.stands.load().confirmed);
    match shared.metrics.page() {
        Ok(page) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], page).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    let live = shared.current.load();
    let draining = shared.drain.is_draining();
    let status = match (draining, live.generation) {
        (true, _) => "draining",
        (_, 0) => "no configuration yet",
        _ => "ready",
    };
    let code = if status == "ready" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let standing = shared.reported.stands.load();
    let mut said = json!({"status": status, "generation": live.generation});
    // Also of one that serves: what it serves may be what it had.
    if let Some(why) = &standing.why {
        said["why"] = json!(why);
    }
    (code, Json(said)).into_response()
}

async fn snapshot(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let live = shared.current.load();
    let unusable: Vec<_> =
        live.unusable.iter().map(|(n, why)| json!({"provider": n, "reason": why})).collect();
    let standing = shared.reported.stands.load();
    Json(json!({
        "generation": live.generation,
        "revision": standing.at.map(|at| at.to_string()),
        "fromLastGood": standing.from_last_good,
        "operatorHash": standing.content,
        "sealingKeys": standing.keys,
        "unusableEntries": *standing.unusable,
        "hash": live.snapshot.hash,
        "keys": live.snapshot.keys_by_name.len(),
        "providers": live.snapshot.providers.len(),
        "policies": live.snapshot.policies.len(),
        "unusableProviders": unusable,
    }))
}

/// Which resources to show; all that are given must match.
#[derive(Deserialize)]
struct Wanted {
    kind: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
}

async fn resources(State(shared): State<Arc<Shared>>, Query(wanted): Query<Wanted>) -> Json<Value> {
    let is = |want: &Option<String>, have: &str| want.as_deref().is_none_or(|w| w == have);
    let shown = crate::state::resources(&shared, |kind, namespace, name| {
        is(&wanted.kind, kind) && is(&wanted.namespace, namespace) && is(&wanted.name, name)
    });
    Json(shown)
}
