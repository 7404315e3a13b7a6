//! The answer to `GET /v1/models`.

use crate::json::{push_number, push_string};
use bytes::Bytes;

/// One model that the caller may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ModelEntry<'a> {
    /// The name that callers use.
    pub id: &'a str,
    /// Unix seconds; 0 when unknown.
    pub created: u64,
    /// Whose it is: the provider's name.
    pub owned_by: &'a str,
}

/// The list, in the order given.
#[must_use]
pub fn models_body<'a>(models: impl IntoIterator<Item = ModelEntry<'a>>) -> Bytes {
    let mut out = b"{\"object\":\"list\",\"data\":[".to_vec();
    for (index, model) in models.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        model_object(&mut out, model);
    }
    out.extend_from_slice(b"]}");
    out.into()
}

/// The answer to `GET /v1/models/{id}`.
#[must_use]
pub fn model_body(model: ModelEntry<'_>) -> Bytes {
    let mut out = Vec::with_capacity(128);
    model_object(&mut out, model);
    out.into()
}

fn model_object(out: &mut Vec<u8>, model: ModelEntry<'_>) {
    out.extend_from_slice(b"{\"id\":");
    push_string(out, model.id);
    out.extend_from_slice(b",\"object\":\"model\",\"created\":");
    push_number(out, model.created);
    out.extend_from_slice(b",\"owned_by\":");
    push_string(out, model.owned_by);
    out.push(b'}');
}
