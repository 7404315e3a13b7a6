//! The upstream body: the caller's bytes with the few edits that must be, copied once.

use super::{Edits, MessagesScan};
use crate::json::{Patch, push_number, push_string};
use bytes::Bytes;

pub(super) fn splice(scan: &MessagesScan, body: &Bytes, edits: &Edits<'_>) -> Bytes {
    let mut patch = Patch::default();
    if let Some(model) = edits.model.filter(|model| !scan.model.is(body, model)) {
        patch.replace(scan.model_member.value, |out| push_string(out, model));
    }
    if let Some(cap) = edits.max_tokens.filter(|cap| scan.max_tokens.value != Some(*cap)) {
        match scan.max_tokens.member {
            Some(member) => patch.replace(member.value, |out| push_number(out, cap.into())),
            None => patch.insert(scan.open, format!("\"max_tokens\":{cap},").as_bytes()),
        }
    }
    if edits.stream && !scan.streams() {
        match scan.stream.member {
            Some(member) => patch.replace(member.value, |out| out.extend_from_slice(b"true")),
            None => patch.insert(scan.open, b"\"stream\":true,"),
        }
    }
    if edits.drop_unsigned {
        scan.unsigned.iter().for_each(|span| patch.replace(*span, |_| {}));
        scan.uncited.iter().for_each(|span| patch.replace(*span, |out| out.extend_from_slice(b"null")));
    }
    patch.apply(body)
}
