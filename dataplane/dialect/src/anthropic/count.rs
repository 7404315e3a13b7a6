//! The answer to `POST /v1/messages/count_tokens`.

use crate::JsonFault;
use crate::json::{Cursor, Kind, push_number};
use crate::openai::token_usage::count;
use bytes::Bytes;

/// `{"input_tokens":n}`.
#[must_use]
pub fn count_tokens_body(tokens: u64) -> Bytes {
    let mut out = b"{\"input_tokens\":".to_vec();
    push_number(&mut out, tokens);
    out.push(b'}');
    out.into()
}

/// What a vendor counted; `None` when it does not say.
///
/// # Errors
/// It is not a JSON object.
pub fn scan_count(body: &[u8]) -> Result<Option<u64>, JsonFault> {
    let mut cursor = Cursor::object(body)?;
    cursor.enter()?;
    let mut tokens = None;
    let mut first = true;
    while let Some(key) = cursor.key(&mut first)? {
        if key.text.is(body, "input_tokens") && cursor.peek()? == Kind::Number {
            tokens = Some(count(&mut cursor)?);
        } else {
            cursor.skip()?;
        }
    }
    cursor.end()?;
    Ok(tokens)
}
