//! What a call says of its own way by headers, as far as its key lets it. A header that is not allowed is refused: a
//! caller who asked for something must not believe that he got it.

use super::Route;
use crate::edge::fault::Fault;
use http::{HeaderMap, HeaderValue};
use smartflow_snapshot::{ObjectName, Override, Overrides, Timeouts};
use std::time::Duration;

const PREFIX: &str = "x-smartflow-";
/// Longest deadline that a call may wish for; longer ones change nothing.
const LONGEST: u64 = 3_600_000;

/// Wishes of one call.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Wishes {
    /// The model, in place of the body's.
    pub model: Option<Box<str>>,
    /// The only provider that may serve: `name` or `namespace/name`.
    pub provider: Option<Box<str>>,
    /// The whole call takes at most this long.
    pub timeout: Option<Duration>,
    /// Calls to providers after the first.
    pub further: Option<u32>,
}

impl Wishes {
    /// Reads them; `None` without any, as for most calls.
    ///
    /// # Errors
    /// [`Fault::Bad`] for a header that the key does not allow, or that means nothing.
    pub fn read(headers: &HeaderMap, allowed: Overrides) -> Result<Option<Box<Self>>, Fault> {
        let mut wishes: Option<Box<Self>> = None;
        for (name, value) in headers {
            let Some(what) = name.as_str().strip_prefix(PREFIX).and_then(kind) else { continue };
            if !allowed.allows(what) {
                let message =
                    format!("This key does not allow the header `{name}`: see overrides of VirtualKey.");
                return Err(bad("override_not_allowed", name.as_str(), message));
            }
            wishes.get_or_insert_default().take(what, name.as_str(), value)?;
        }
        Ok(wishes)
    }

    fn take(&mut self, what: Override, name: &str, value: &HeaderValue) -> Result<(), Fault> {
        let text = value.to_str().ok().map(str::trim).filter(|t| !t.is_empty());
        let wrong = |wanted: &str| bad("invalid_value", name, format!("`{name}` takes {wanted}."));
        match what {
            Override::Model => self.model = Some(text.ok_or_else(|| wrong("the name of a model"))?.into()),
            Override::Provider => {
                self.provider = Some(text.ok_or_else(|| wrong("the name of an LLMProvider"))?.into());
            }
            Override::Timeout => {
                let millis = text.and_then(|t| t.parse().ok()).filter(|ms| *ms > 0);
                let millis: u64 = millis.ok_or_else(|| wrong("a whole number of milliseconds above zero"))?;
                self.timeout = Some(Duration::from_millis(millis.min(LONGEST)));
            }
            Override::Retries => {
                let count = text.and_then(|t| t.parse().ok());
                self.further = Some(count.ok_or_else(|| wrong("a whole number"))?);
            }
        }
        Ok(())
    }

    /// True when `route` leads to a provider that may serve.
    #[must_use]
    pub fn allow(&self, route: &Route) -> bool {
        self.provider.as_deref().is_none_or(|wanted| is_named(&route.provider.name, wanted))
    }
}

impl Wishes {
    /// `timeouts`, but no longer than what is wished for.
    #[must_use]
    pub fn within(&self, timeouts: &Timeouts) -> Timeouts {
        Timeouts { total: self.timeout.map_or(timeouts.total, |t| t.min(timeouts.total)), ..*timeouts }
    }
}

fn is_named(provider: &ObjectName, wanted: &str) -> bool {
    match wanted.split_once('/') {
        Some((namespace, name)) => *provider.namespace == *namespace && *provider.name == *name,
        None => *provider.name == *wanted,
    }
}

fn kind(rest: &str) -> Option<Override> {
    match rest {
        "model" => Some(Override::Model),
        "provider" => Some(Override::Provider),
        "timeout-ms" => Some(Override::Timeout),
        "max-retries" => Some(Override::Retries),
        _ => None,
    }
}

fn bad(code: &'static str, name: &str, message: String) -> Fault {
    Fault::Bad { code, param: Some(name.to_owned()), message }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const ALL: [(Override, &str, &str); 4] = [
        (Override::Model, "x-smartflow-model", "gpt"),
        (Override::Provider, "x-smartflow-provider", "vendor"),
        (Override::Timeout, "x-smartflow-timeout-ms", "250"),
        (Override::Retries, "x-smartflow-max-retries", "0"),
    ];

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| ((*n).parse().unwrap(), v.parse().unwrap())).collect()
    }

    fn read(
        pairs: &[(&'static str, &str)],
        allowed: &[Override],
    ) -> Result<Option<Box<Wishes>>, &'static str> {
        let read = Wishes::read(&headers(pairs), allowed.iter().copied().collect());
        read.map_err(|fault| match fault {
            Fault::Bad { code, .. } => code,
            _ => "?",
        })
    }

    #[test]
    fn each_is_refused_unless_its_own_permission_is_there() {
        for (what, name, value) in ALL {
            let others: Vec<Override> = ALL.iter().map(|a| a.0).filter(|o| *o != what).collect();
            assert_eq!(read(&[(name, value)], &others), Err("override_not_allowed"), "{name}");
            assert!(read(&[(name, value)], &[what]).unwrap().is_some(), "{name}");
        }
    }

    #[test]
    fn what_they_say() {
        let all = ALL.map(|a| a.0);
        let wishes = read(&ALL.map(|a| (a.1, a.2)), &all).unwrap().unwrap();
        let (timeout, further) = (Some(Duration::from_millis(250)), Some(0));
        let (model, provider) = (Some("gpt".into()), Some("vendor".into()));
        assert_eq!(*wishes, Wishes { model, provider, timeout, further });
        for (name, value) in [
            ("x-smartflow-timeout-ms", "0"),
            ("x-smartflow-timeout-ms", "1s"),
            ("x-smartflow-max-retries", "-1"),
            ("x-smartflow-model", ""),
        ] {
            assert_eq!(read(&[(name, value)], &all), Err("invalid_value"), "{name}: {value}");
        }
    }

    #[test]
    fn other_headers_are_not_their_business() {
        let others =
            [("x-smartflow-upstream-authorization", "x"), ("x-smartflow-cache", "skip"), ("accept", "*/*")];
        assert_eq!(read(&others, &[]), Ok(None));
    }

    #[test]
    fn providers_go_by_name_or_by_namespace_and_name() {
        let vendor = ObjectName::new("team", "vendor");
        assert!(is_named(&vendor, "vendor") && is_named(&vendor, "team/vendor"));
        assert!(
            !is_named(&vendor, "other") && !is_named(&vendor, "other/vendor") && !is_named(&vendor, "team/v")
        );
    }
}
