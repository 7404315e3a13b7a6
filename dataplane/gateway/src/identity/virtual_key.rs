//! Virtual keys in `Authorization: Bearer`, or in `x-api-key` as Anthropic's SDKs send them.

use crate::edge::fault::Fault;
use crate::heading::find;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use smartflow_snapshot::TokenHash;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The hash of the presented token; a bearer token goes before an API key. The token itself is not kept.
///
/// # Errors
/// [`Fault::NoKey`] without any.
pub fn presented(headers: &HeaderMap) -> Result<TokenHash, Fault> {
    let token = bearer(headers).or_else(|| Some(find(headers, &API_KEY)?.as_bytes().trim_ascii()));
    token.filter(|token| !token.is_empty()).map(TokenHash::of).ok_or(Fault::NoKey)
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked(7)?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer ") && !token.is_empty()).then_some(token)
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

    #[test]
    fn an_api_key_is_a_key_where_there_is_no_bearer_token() {
        let both = |authorization: Option<&'static str>, key: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(API_KEY, key.parse().unwrap());
            if let Some(value) = authorization {
                headers.insert(AUTHORIZATION, value.parse().unwrap());
            }
            presented(&headers)
        };
        assert_eq!(both(None, " sk-sf-1 ").unwrap(), TokenHash::of(b"sk-sf-1"));
        assert_eq!(both(Some("Basic abc"), "sk-sf-1").unwrap(), TokenHash::of(b"sk-sf-1"));
        assert_eq!(both(Some("Bearer sk-sf-2"), "sk-sf-1").unwrap(), TokenHash::of(b"sk-sf-2"));
        assert!(matches!(both(None, ""), Err(Fault::NoKey)));
    }
}
