//! An API server as a script: a client whose requests a function answers.

use http::{Method, Request, Response};
use http_body_util::BodyExt;
use kube_client::Client;
use kube_client::client::Body;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

/// A request as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    /// With its query.
    pub(crate) path: String,
    pub(crate) body: Value,
}

/// What a request is answered with: status and body.
pub(crate) type Answer = (u16, Value);

/// A client whose requests `answer` answers, in order.
pub(crate) fn client(answer: impl FnMut(Asked) -> Answer + Send + 'static) -> Client {
    let answer = Arc::new(Mutex::new(answer));
    let service = tower::service_fn(move |request: Request<Body>| {
        let answer = answer.clone();
        async move {
            let (parts, body) = request.into_parts();
            let bytes = body.collect().await.unwrap().to_bytes();
            let body = serde_json::from_slice(&bytes).unwrap_or_default();
            let asked = Asked { method: parts.method, path: parts.uri.to_string(), body };
            let (status, body) = (answer.lock().unwrap())(asked);
            let response = Response::builder().status(status).header("content-type", "application/json");
            Ok::<_, Infallible>(response.body(Body::from(body.to_string().into_bytes())).unwrap())
        }
    });
    Client::new(service, "default")
}

/// A client whose requests are never answered.
pub(crate) fn silent() -> Client {
    let service =
        tower::service_fn(|_: Request<Body>| std::future::pending::<Result<Response<Body>, Infallible>>());
    Client::new(service, "default")
}

/// The API server's refusal.
pub(crate) fn refusal(code: u16, reason: &str) -> Answer {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "code": code, "reason": reason, "message": reason,
    });
    (code, status)
}

/// One object as an API server keeps it: versions count, and a write that names an old one is refused.
#[derive(Debug, Default, Clone)]
pub(crate) struct Kept {
    pub(crate) object: Option<Value>,
    pub(crate) writes: u64,
}

impl Kept {
    pub(crate) fn answer(&mut self, asked: &Asked) -> Answer {
        let version = self.object.as_ref().map(|o| o["metadata"]["resourceVersion"].clone());
        let named = asked.body.pointer("/metadata/resourceVersion").cloned();
        match (asked.method.as_str(), &self.object) {
            ("GET", Some(object)) => (200, object.clone()),
            ("GET" | "PUT" | "PATCH", None) => refusal(404, "NotFound"),
            ("POST", Some(_)) => refusal(409, "AlreadyExists"),
            (_, Some(_)) if named.is_some() && named != version => refusal(409, "Conflict"),
            ("PATCH", Some(object)) => {
                let mut object = object.clone();
                merge(&mut object, &asked.body);
                self.keep(object)
            }
            ("POST" | "PUT", _) => self.keep(asked.body.clone()),
            other => panic!("not expected: {other:?}"),
        }
    }

    fn keep(&mut self, mut object: Value) -> Answer {
        self.writes += 1;
        object["metadata"]["resourceVersion"] = json!(self.writes.to_string());
        self.object = Some(object.clone());
        (200, object)
    }
}

/// JSON merge patch.
fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (name, value) in fields {
        if value.is_null() {
            into.as_object_mut().unwrap().remove(name);
        } else {
            merge(&mut into[name], value);
        }
    }
}
