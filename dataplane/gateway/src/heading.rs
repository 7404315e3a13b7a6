//! The head of an answer that is known whole when it is sent, and looking headers up.
//!
//! A header map hashes each name byte by byte at every insert and look-up: some 3,000 of a small call's 68,000
//! instructions (callgrind). So an answer's head is a copy of one made beforehand, whose values are then set in order, and a header
//! whose name the `http` crate does not know by number is found by comparing: a request has few.

use crate::edge::routes::{ANTHROPIC_REQUEST_ID, OPENAI_REQUEST_ID, REQUEST_ID};
use crate::reply::{ATTEMPTS, COST, MODEL, OVERHEAD, PROVIDER, REMAINING, RESET};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use smartflow_dialect::Dialect;

/// The first value of `name`.
#[must_use]
pub fn find<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    headers.iter().find_map(|(n, value)| (n == name).then_some(value))
}

/// Values of a head.
pub struct Values {
    /// `x-smartflow-request-id`, and what the caller's SDK calls it.
    pub id: HeaderValue,
    /// `x-smartflow-provider`
    pub provider: HeaderValue,
    /// `x-smartflow-model`
    pub model: HeaderValue,
    /// `x-smartflow-attempts`
    pub attempts: HeaderValue,
    /// `x-smartflow-overhead-us`
    pub overhead: HeaderValue,
    /// `x-smartflow-cost-usd`
    pub cost: HeaderValue,
    /// `x-smartflow-budget-remaining-usd` and `x-smartflow-budget-reset`, where there is a budget that starts anew.
    pub budget: Option<(HeaderValue, HeaderValue)>,
}

/// A head made beforehand.
struct Template {
    names: Vec<HeaderName>,
    headers: HeaderMap,
    /// The map goes through its values in the order of `names`, as they do that were only inserted into.
    in_order: bool,
}

impl Template {
    fn new(dialect: Dialect, budget: bool) -> Self {
        let mut names =
            vec![REQUEST_ID, their_id(dialect), PROVIDER, MODEL, ATTEMPTS, OVERHEAD, COST, CONTENT_TYPE];
        if budget {
            names.extend([REMAINING, RESET]);
        }
        // Room for the few that an answer may have beside them, so that a copy need not grow.
        let mut headers = HeaderMap::with_capacity(names.len() + 4);
        for name in &names {
            headers.insert(name, HeaderValue::from_static(""));
        }
        let in_order = headers.keys().eq(&names);
        Self { names, headers, in_order }
    }

    fn filled<const N: usize>(&self, values: [HeaderValue; N]) -> HeaderMap {
        let mut headers = self.headers.clone();
        if self.in_order {
            headers.values_mut().zip(values).for_each(|(place, value)| *place = value);
        } else {
            for (name, value) in self.names.iter().zip(values) {
                headers.insert(name, value);
            }
        }
        headers
    }
}

/// Where SDKs look for the request id.
#[must_use]
pub fn their_id(dialect: Dialect) -> HeaderName {
    match dialect {
        Dialect::OpenAi => OPENAI_REQUEST_ID,
        Dialect::Anthropic => ANTHROPIC_REQUEST_ID,
    }
}

/// Heads of answers, by the caller's format and whether a budget is told of.
pub struct Headings([[Template; 2]; 2]);

impl Default for Headings {
    fn default() -> Self {
        let of = |dialect| [Template::new(dialect, false), Template::new(dialect, true)];
        Self([of(Dialect::OpenAi), of(Dialect::Anthropic)])
    }
}

impl Headings {
    /// The head of an answer to a caller who speaks `dialect`.
    #[must_use]
    pub fn of(&self, dialect: Dialect, values: Values) -> HeaderMap {
        let [openai, anthropic] = &self.0;
        let [plain, with_budget] = match dialect {
            Dialect::OpenAi => openai,
            Dialect::Anthropic => anthropic,
        };
        let Values { id, provider, model, attempts, overhead, cost, budget } = values;
        let json = HeaderValue::from_static("application/json");
        let theirs = id.clone();
        match budget {
            None => plain.filled([id, theirs, provider, model, attempts, overhead, cost, json]),
            Some((left, reset)) => {
                with_budget.filled([id, theirs, provider, model, attempts, overhead, cost, json, left, reset])
            }
        }
    }
}

/// True when `headers` tell the request's id already.
#[must_use]
pub fn tells_id(headers: &HeaderMap) -> bool {
    find(headers, &REQUEST_ID).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(budget: bool) -> Values {
        let of = HeaderValue::from_static;
        Values {
            id: of("req_1"),
            provider: of("default/mock"),
            model: of("gpt"),
            attempts: of("1"),
            overhead: of("12"),
            cost: of("0.5"),
            budget: budget.then(|| (of("9.5"), of("2026-12-01T00:00:00Z"))),
        }
    }

    fn told(dialect: Dialect, budget: bool) -> Vec<(String, String)> {
        let headers = Headings::default().of(dialect, values(budget));
        let mut told: Vec<_> =
            headers.iter().map(|(n, v)| (n.to_string(), v.to_str().unwrap_or_default().to_owned())).collect();
        told.sort();
        told
    }

    #[test]
    fn each_value_stands_under_its_name() {
        let of = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
        };
        assert_eq!(
            told(Dialect::OpenAi, true),
            of(&[
                ("content-type", "application/json"),
                ("x-request-id", "req_1"),
                ("x-smartflow-attempts", "1"),
                ("x-smartflow-budget-remaining-usd", "9.5"),
                ("x-smartflow-budget-reset", "2026-12-01T00:00:00Z"),
                ("x-smartflow-cost-usd", "0.5"),
                ("x-smartflow-model", "gpt"),
                ("x-smartflow-overhead-us", "12"),
                ("x-smartflow-provider", "default/mock"),
                ("x-smartflow-request-id", "req_1"),
            ])
        );
        assert_eq!(
            told(Dialect::Anthropic, false),
            of(&[
                ("content-type", "application/json"),
                ("request-id", "req_1"),
                ("x-smartflow-attempts", "1"),
                ("x-smartflow-cost-usd", "0.5"),
                ("x-smartflow-model", "gpt"),
                ("x-smartflow-overhead-us", "12"),
                ("x-smartflow-provider", "default/mock"),
                ("x-smartflow-request-id", "req_1"),
            ])
        );
    }

    #[test]
    fn values_are_set_without_looking_names_up() {
        assert!(Headings::default().0.iter().flatten().all(|template| template.in_order));
    }

    #[test]
    fn a_header_is_found_by_its_name() {
        let headers = Headings::default().of(Dialect::OpenAi, values(false));
        assert_eq!(find(&headers, &MODEL).map(HeaderValue::as_bytes), Some(&b"gpt"[..]));
        assert_eq!(find(&headers, &RESET), None);
        assert!(tells_id(&headers) && !tells_id(&HeaderMap::new()));
    }
}
