//! Virtual keys in `Authorization: Bearer`.

use crate::edge::fault::Fault;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use smartflow_snapshot::TokenHash;

/// The hash of the presented token. The token itself is not kept.
///
/// # Errors
/// [`Fault::NoKey`] without a bearer token.
pub fn presented(headers: &HeaderMap) -> Result<TokenHash, Fault> {
    let value = headers.get(AUTHORIZATION).map(http::HeaderValue::as_bytes).ok_or(Fault::NoKey)?;
    let (scheme, token) = value.split_at_checked(7).ok_or(Fault::NoKey)?;
    let token = token.trim_ascii();
    if !scheme.eq_ignore_ascii_case(b"bearer ") || token.is_empty() {
        return Err(Fault::NoKey);
    }
    Ok(TokenHash::of(token))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(value: &'static str) -> Result<TokenHash, Fault> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.parse().unwrap());
        presented(&headers)
    }

    #[test]
    fn only_a_bearer_token_is_a_key() {
        assert_eq!(of("Bearer sk-sf-1").unwrap(), TokenHash::of(b"sk-sf-1"));
        assert_eq!(of("bearer  sk-sf-1 ").unwrap(), TokenHash::of(b"sk-sf-1"));
        for bad in ["", "Bearer", "Bearer ", "Basic sk-sf-1", "sk-sf-1"] {
            assert!(matches!(of(bad), Err(Fault::NoKey)), "{bad}");
        }
        assert!(matches!(presented(&HeaderMap::new()), Err(Fault::NoKey)));
    }
}
