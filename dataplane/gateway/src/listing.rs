//! `GET /v1/models`: what this key may name, in the caller's format.

use crate::edge::body::Body;
use crate::edge::fault::Fault;
use crate::edge::rescue::respond;
use crate::edge::routes::Call;
use crate::identity::{Caller, virtual_key};
use crate::worker::Worker;
use http::Response;
use smartflow_dialect::openai::ModelEntry;
use smartflow_dialect::{Dialect, anthropic, openai};
use smartflow_snapshot::Meaning;
use std::borrow::Cow;
use std::rc::Rc;

fn caller(
    call: &Call,
    worker: &Rc<Worker>,
) -> Result<(std::sync::Arc<crate::live::Live>, Rc<Caller>), Fault> {
    let live = worker.shared.current.load_full();
    let token = virtual_key::presented(&call.head.headers)?;
    let caller = worker.caller(&live, &token)?;
    caller.admit(|| worker.shared.clock.now().wall / 1000)?;
    Ok((live, caller))
}

fn entry<'a>(name: &'a str, meaning: &Meaning<'a>) -> ModelEntry<'a> {
    // No time is known for a model; clients want one.
    ModelEntry { id: name, created: 0, owned_by: &meaning.owner().name }
}

/// All models that this key may name.
///
/// # Errors
/// [`Fault`] of the key.
pub fn all(call: &Call, worker: &Rc<Worker>, dialect: Dialect) -> Result<Response<Body>, Fault> {
    let (live, caller) = caller(call, worker)?;
    let key = &caller.key;
    let visible = live.snapshot.names.visible(&key.name.namespace);
    // `provider/model` names are valid but only noise in a list that has the short name.
    let mine = visible.iter().filter(|(name, _)| !name.contains('/') && key.models.allows(name));
    let entries = mine.map(|(name, meaning)| entry(name, meaning));
    let body = match dialect {
        Dialect::OpenAi => openai::models_body(entries),
        Dialect::Anthropic => anthropic::models_body(entries),
    };
    Ok(respond(200, body))
}

/// One model.
///
/// # Errors
/// [`Fault::ModelNotFound`], also for a model that was not granted.
pub fn one(call: &Call, worker: &Rc<Worker>, dialect: Dialect) -> Result<Response<Body>, Fault> {
    let (live, caller) = caller(call, worker)?;
    let written = call.head.uri.path().strip_prefix("/v1/models/").unwrap_or_default();
    let name = &*decoded(written).ok_or_else(|| Fault::ModelNotFound { model: written.to_owned() })?;
    let granted = caller.key.models.allows(name);
    let meaning = live.snapshot.names.resolve(&caller.key.name.namespace, name).filter(|_| granted);
    let meaning = meaning.ok_or_else(|| Fault::ModelNotFound { model: name.to_owned() })?;
    let entry = entry(name, &meaning);
    let body = match dialect {
        Dialect::OpenAi => openai::model_body(entry),
        Dialect::Anthropic => anthropic::model_body(entry),
    };
    Ok(respond(200, body))
}

/// A path's part without its percent signs; clients write `provider%2Fmodel`. `None`: it is no text.
fn decoded(part: &str) -> Option<Cow<'_, str>> {
    if !part.contains('%') {
        return Some(part.into());
    }
    let mut pieces = part.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2)?;
        let digits = digits.bytes().all(|b| b.is_ascii_hexdigit()).then_some(digits)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn parts_of_a_path() {
        for (written, meant) in [
            ("gpt-5", Some("gpt-5")),
            ("vendor%2Fgpt%2d5", Some("vendor/gpt-5")),
            ("caf%C3%A9", Some("caf\u{e9}")),
            ("%", None),
            ("a%2", None),
            ("a%+1", None),
            ("a%ff", None),
        ] {
            assert_eq!(decoded(written).as_deref(), meant, "{written}");
        }
    }
}
