//! The one place where a fault becomes a status and an error body. Texts are for callers: they name the field and the
//! fix, and never show a secret, an address inside the network, or another tenant.

use super::body::Body;
use super::fault::Fault;
use crate::upstream::Unreachable;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use smartflow_dialect::Dialect;
use smartflow_dialect::translate::{ErrorWords, error_body, error_event};
use std::borrow::Cow;

/// What a caller is told.
struct Told {
    status: u16,
    kind: &'static str,
    code: Cow<'static, str>,
    param: Option<String>,
    message: Cow<'static, str>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Told {
    fn new(
        status: u16,
        kind: &'static str,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, kind, code: code.into(), param: None, message: message.into(), headers: Vec::new() }
    }

    /// Anthropic has a status of its own for a provider without capacity, and its SDKs an error.
    fn of(mut self, dialect: Dialect) -> Self {
        if self.code == OVERLOADED && dialect == Dialect::Anthropic {
            self.status = 529;
        }
        self
    }

    fn words(&self) -> ErrorWords<'_> {
        let (param, code) = (self.param.as_deref(), Some(&*self.code));
        ErrorWords { status: self.status, kind: self.kind, message: &self.message, param, code }
    }

    fn header(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        if let Ok(value) = HeaderValue::try_from(value.as_ref()) {
            self.headers.push((HeaderName::from_static(name), value));
        }
        self
    }
}

/// Seconds; nobody should hold a call for longer than this.
const LONG_WAIT: u128 = 60;
const INVALID: &str = "invalid_request_error";
const UPSTREAM: &str = "upstream_error";
const OVERLOADED: &str = "upstream_overloaded";

impl Fault {
    /// The status that a caller who speaks `dialect` gets; also for metrics and the usage line.
    #[must_use]
    pub fn status(&self, dialect: Dialect) -> u16 {
        match self {
            Self::Rejected { status, .. } => *status,
            other => other.told().of(dialect).status,
        }
    }

    /// The error code, for metrics and the usage line. Bounded.
    #[must_use]
    pub fn code(&self) -> Cow<'static, str> {
        match self {
            Self::Rejected { .. } => "upstream_rejected".into(),
            Self::Policy { .. } => "policy_violation".into(),
            other => other.told().code,
        }
    }

    /// The answer for a caller who speaks `dialect`.
    #[must_use]
    pub fn into_response(self, dialect: Dialect) -> Response<Body> {
        if let Self::Rejected { status, error, .. } = self {
            let kind = error.kind.as_deref().unwrap_or(INVALID);
            let (param, code) = (error.param.as_deref(), error.code.as_deref());
            let words = ErrorWords { status, kind, message: &error.message, param, code };
            return respond(status, error_body(dialect, &words));
        }
        let closes = matches!(self, Self::BodyTooLarge { .. } | Self::BodyTooSlow | Self::BodyCut);
        let told = self.told().of(dialect);
        let body = error_body(dialect, &told.words());
        let mut response = respond(told.status, body);
        response.headers_mut().extend(told.headers);
        if closes {
            // What is left of the body is not worth reading.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// The same within a stream that has begun: an event, after which nothing follows.
    #[must_use]
    pub fn into_event(self, dialect: Dialect) -> Bytes {
        error_event(dialect, &self.told().of(dialect).words())
    }

    fn told(&self) -> Told {
        match self {
            Self::NoKey | Self::UnknownKey | Self::KeyDisabled | Self::KeyExpired => self.told_key(),
            Self::NoSuchPath | Self::WrongMethod { .. } | Self::Bad { .. } => self.told_request(),
            Self::BodyTooLarge { .. } | Self::BodyTooSlow | Self::BodyCut => self.told_body(),
            Self::Policy { .. } | Self::ModelNotFound { .. } | Self::PriceUnknown { .. } => self.told_grant(),
            Self::BudgetExceeded { .. }
            | Self::BudgetUnavailable
            | Self::RateLimited { .. }
            | Self::RequestTooLarge { .. } => self.told_limit(),
            Self::Rejected { .. }
            | Self::Failed { .. }
            | Self::NoHealthyTarget { .. }
            | Self::Unreachable(_)
            | Self::Garbled { .. }
            | Self::Internal { .. } => self.told_upstream(),
        }
    }

    fn told_key(&self) -> Told {
        let told = |code, message: &'static str| Told::new(401, INVALID, code, message);
        match self {
            Self::NoKey => told(
                "invalid_api_key",
                "No API key was provided. Send your virtual key as `Authorization: Bearer sk-sf-...` or as `x-api-key`.",
            ),
            Self::KeyDisabled => {
                told("key_disabled", "This key is disabled. Ask its administrator to enable it.")
            }
            Self::KeyExpired => {
                told("key_expired", "This key has expired. Ask its administrator for a new one.")
            }
            _ => told("invalid_api_key", "The API key is not valid here. Check that it was copied whole."),
        }
    }

    fn told_request(&self) -> Told {
        match self {
            Self::WrongMethod { allow } => {
                Told::new(405, INVALID, "method_not_allowed", format!("This path takes {allow} only."))
                    .header("allow", allow)
            }
            Self::Bad { code, param, message } => {
                let mut told = Told::new(400, INVALID, code, message.clone());
                told.param.clone_from(param);
                told
            }
            _ => Told::new(
                404,
                INVALID,
                "unknown_url",
                "There is nothing at this path. Try POST /v1/chat/completions, POST /v1/messages, POST /v1/embeddings, GET /v1/models or GET /v1/usage.",
            ),
        }
    }

    fn told_body(&self) -> Told {
        match self {
            Self::BodyTooLarge { limit } => Told::new(
                413,
                INVALID,
                "body_too_large",
                format!("The request body is longer than the {limit} bytes that this gateway takes."),
            ),
            Self::BodyTooSlow => Told::new(408, INVALID, "body_timeout", "The request body came too slowly."),
            _ => Told::new(400, INVALID, "body_incomplete", "The connection ended within the request body."),
        }
    }

    fn told_grant(&self) -> Told {
        match self {
            Self::Policy { policy } => {
                let mut told = Told::new(403, "policy_violation", "", format!("Blocked by policy {policy}."));
                told.code = policy.clone().into();
                told
            }
            Self::PriceUnknown { what } => Told::new(400, INVALID, "price_unknown", what.clone()),
            _ => {
                let model = if let Self::ModelNotFound { model } = self { model.as_str() } else { "" };
                let shown: String = model.chars().take(128).collect();
                let message = format!("The model `{shown}` does not exist or you do not have access to it.");
                let mut told = Told::new(404, INVALID, "model_not_found", message);
                told.param = Some("model".to_owned());
                told
            }
        }
    }

    fn told_limit(&self) -> Told {
        match self {
            Self::BudgetExceeded { whose, remaining, resets } => {
                let when = resets.map_or_else(|| "It does not reset.".to_owned(), |t| format!("It resets at {t}."));
                let left = crate::budget::usd(*remaining);
                let message = format!("{whose} has ${left} left, too little for this request. {when}");
                let told = Told::new(429, "insufficient_quota", "budget_exceeded", message)
                    .header("x-should-retry", "false")
                    .header("x-smartflow-budget-remaining-usd", &*left);
                match resets {
                    Some(t) => told.header("x-smartflow-budget-reset", t.to_string()),
                    None => told,
                }
            }
            Self::RateLimited { kind, message, retry_after, headers } => {
                let seconds = retry_after.as_millis().div_ceil(1000).max(1);
                let mut told = Told::new(429, kind, "rate_limit_exceeded", message.clone())
                    .header("retry-after", seconds.to_string())
                    .header("retry-after-ms", retry_after.as_millis().max(1).to_string());
                for (name, value) in headers {
                    told = told.header(name, value);
                }
                // SDKs would wait for it, or worse, not wait.
                if seconds > LONG_WAIT { told.header("x-should-retry", "false") } else { told }
            }
            Self::RequestTooLarge { wanted, limit } => Told::new(
                429,
                "tokens",
                "request_too_large",
                format!("This request counts as {wanted} tokens, more than its limit of {limit} ever admits. Shorten it or lower its output cap."),
            )
            .header("x-should-retry", "false"),
            _ => Told::new(
                503,
                "server_error",
                "budget_unavailable",
                "The budget of this key cannot be checked right now. Try again shortly.",
            )
            .header("retry-after", "1"),
        }
    }

    fn told_upstream(&self) -> Told {
        match self {
            Self::Failed { status, message, retry_after, overloaded, .. } => {
                let text = format!("The provider answered {status}: {message}");
                let (mut status, mut code) = (502, "upstream_failed");
                if *overloaded {
                    (status, code) = (503, OVERLOADED);
                }
                let mut told = Told::new(status, UPSTREAM, code, text);
                told.headers.extend(retry_after.clone().map(|v| (RETRY_AFTER, v)));
                told
            }
            Self::Unreachable(Unreachable::Timeout { step, after }) => Told::new(
                504,
                UPSTREAM,
                "upstream_timeout",
                format!("The provider took longer than {after:?} ({step})."),
            ),
            Self::NoHealthyTarget { retry_after } => Told::new(
                503,
                UPSTREAM,
                "no_healthy_target",
                "Every provider of this model kept failing and is left alone for now. Try again shortly.",
            )
            .header("retry-after", retry_after.as_millis().div_ceil(1000).max(1).to_string()),
            Self::Unreachable(Unreachable::Busy { .. }) => Told::new(
                503,
                UPSTREAM,
                "no_healthy_target",
                "The provider has as many calls in flight as it may. Try again shortly.",
            )
            .header("retry-after", "1"),
            Self::Unreachable(reason) => {
                // Addresses and resolver texts are for the log: they describe the inside of the network.
                let what = match reason {
                    Unreachable::Resolve { .. } => "its name cannot be resolved",
                    Unreachable::Refused { .. } => "its address is one that this gateway refuses to call",
                    Unreachable::Connect { .. } | Unreachable::Proxy { .. } => "it cannot be connected to",
                    Unreachable::Tls { .. } => "no secure connection could be made",
                    Unreachable::Broken { .. }
                    | Unreachable::Unprocessed { .. }
                    | Unreachable::Timeout { .. }
                    | Unreachable::Busy { .. } => "the connection broke",
                };
                Told::new(
                    502,
                    UPSTREAM,
                    "upstream_failed",
                    format!("The provider could not be reached: {what}."),
                )
            }
            Self::Garbled { why } => Told::new(
                502,
                UPSTREAM,
                "upstream_failed",
                format!("The provider's answer cannot be used: {why}."),
            ),
            _ => Told::new(500, "server_error", "internal_error", "Something went wrong inside the gateway."),
        }
    }
}

/// A JSON answer.
#[must_use]
pub fn respond(status: u16, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::whole(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
