//! The admin port: metrics and health. It shows no secret.

use crate::telemetry::Telemetry;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use std::io;
use std::sync::Arc;
use tokio::net::TcpListener;

const INDEX: &str = "smartflow-operator, admin port\n
  /metrics   Prometheus
  /healthz   the process is alive
  /readyz    all kinds were listed; if not, which are not and why
";

/// Serves the admin port until aborted.
///
/// # Errors
/// When accepting fails for good.
pub async fn serve(listener: TcpListener, telemetry: Arc<Telemetry>) -> io::Result<()> {
    let router = Router::new()
        .route("/", get(|| async { INDEX }))
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { Json(json!({ "status": "ok" })) }))
        .route("/readyz", get(ready))
        .with_state(telemetry);
    axum::serve(listener, router).await
}

async fn metrics(State(telemetry): State<Arc<Telemetry>>) -> Response {
    match telemetry.page() {
        Ok(page) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], page).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn ready(State(telemetry): State<Arc<Telemetry>>) -> Response {
    let (ready, reasons) = telemetry.readiness();
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let status = if ready { "ready" } else { "not every kind was listed yet" };
    (code, Json(json!({ "status": status, "behind": reasons }))).into_response()
}
