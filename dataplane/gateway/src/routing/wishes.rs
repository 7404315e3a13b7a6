//! What a call says of its own way by headers, as far as its key lets it. A header that is not allowed is refused: a
//! caller who asked for something must not believe that he got it.

use super::Route;
use crate::edge::fault::Fault;
use http::{HeaderMap, HeaderValue};
use serde_json::{Map, Value};
use smartflow_snapshot::{Key, ObjectName, Override, Overrides, Timeouts, Unsupported};
use std::time::Duration;

const PREFIX: &str = "x-smartflow-";
/// Longest deadline that a call may wish for; longer ones change nothing.
const LONGEST: u64 = 3_600_000;
/// Most tags, and longest of them, in bytes; as much metadata as OpenAI takes.
const MOST_TAGS: usize = 16;
const LONGEST_TAG: usize = 64;
const MOST_METADATA: usize = 16;
const LONGEST_NAME: usize = 64;
const LONGEST_VALUE: usize = 512;

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
    /// For the usage line: words between commas.
    pub tags: Option<Box<str>>,
    /// For the usage line: a JSON object of strings.
    pub metadata: Option<Box<str>>,
    /// What to do about fields that the provider's format does not have.
    pub unsupported: Option<Unsupported>,
}

impl Wishes {
    /// Reads them; `None` without any, as for most calls.
    ///
    /// # Errors
    /// [`Fault::Bad`] for a header that the key does not allow, or that means nothing.
    pub fn read(headers: &HeaderMap, key: &Key) -> Result<Option<Box<Self>>, Fault> {
        let mut wishes: Option<Box<Self>> = None;
        let mut seen = Overrides::default();
        for (name, value) in headers {
            let Some(what) = name.as_str().strip_prefix(PREFIX).and_then(kind) else { continue };
            if seen.allows(what) {
                let message = format!("The header `{name}` is there twice: send it once.");
                return Err(bad("invalid_value", name.as_str(), message));
            }
            seen.insert(what);
            let wishes = wishes.get_or_insert_default();
            // To be told of more than the key demands is everybody's right.
            let free = what == Override::Unsupported;
            if free || key.overrides.allows(what) {
                wishes.take(what, name.as_str(), value)?;
            }
            let stricter = free && wishes.unsupported.is_some_and(|u| u >= key.unsupported);
            if !stricter && !key.overrides.allows(what) {
                let message =
                    format!("This key does not allow the header `{name}`: see overrides of VirtualKey.");
                return Err(bad("override_not_allowed", name.as_str(), message));
            }
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
            Override::Tags => {
                let tags = text.filter(|t| are_tags(t));
                let wanted = "up to 16 words of at most 64 characters each, between commas";
                self.tags = Some(tags.ok_or_else(|| wrong(wanted))?.into());
            }
            Override::Metadata => {
                let metadata = text.filter(|t| is_metadata(t));
                let wanted =
                    "a JSON object of up to 16 strings, names of at most 64 bytes and values of at most 512";
                self.metadata = Some(metadata.ok_or_else(|| wrong(wanted))?.into());
            }
            Override::Unsupported => {
                let known = |word: &str| text.is_some_and(|t| t.eq_ignore_ascii_case(word));
                self.unsupported = Some(match (known("drop"), known("reject")) {
                    (true, _) => Unsupported::Drop,
                    (_, true) => Unsupported::Reject,
                    _ => return Err(wrong("`drop` or `reject`")),
                });
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

/// The tags of `text`.
pub fn tags(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|tag| !tag.is_empty())
}

fn are_tags(text: &str) -> bool {
    let all = || tags(text);
    (1..=MOST_TAGS).contains(&all().count()) && all().all(|tag| tag.len() <= LONGEST_TAG)
}

fn is_metadata(text: &str) -> bool {
    let fits = |(name, value): (&String, &Value)| {
        name.len() <= LONGEST_NAME && value.as_str().is_some_and(|v| v.len() <= LONGEST_VALUE)
    };
    let read: Result<Map<String, Value>, _> = serde_json::from_str(text);
    read.is_ok_and(|map| map.len() <= MOST_METADATA && map.iter().all(fits))
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
        "tags" => Some(Override::Tags),
        "metadata" => Some(Override::Metadata),
        "unsupported" => Some(Override::Unsupported),
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
    use crate::telemetry::line::tests::key;

    const ALL: [(Override, &str, &str); 6] = [
        (Override::Model, "x-smartflow-model", "gpt"),
        (Override::Provider, "x-smartflow-provider", "vendor"),
        (Override::Timeout, "x-smartflow-timeout-ms", "250"),
        (Override::Retries, "x-smartflow-max-retries", "0"),
        (Override::Tags, "x-smartflow-tags", "a, b"),
        (Override::Metadata, "x-smartflow-metadata", r#"{"run":"7"}"#),
    ];

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| ((*n).parse().unwrap(), v.parse().unwrap())).collect()
    }

    fn read(
        pairs: &[(&'static str, &str)],
        allowed: &[Override],
    ) -> Result<Option<Box<Wishes>>, &'static str> {
        let key = Key { overrides: allowed.iter().copied().collect(), ..key() };
        let read = Wishes::read(&headers(pairs), &key);
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
        let (tags, metadata) = (Some("a, b".into()), Some(r#"{"run":"7"}"#.into()));
        let unsupported = None;
        assert_eq!(*wishes, Wishes { model, provider, timeout, further, tags, metadata, unsupported });
        assert_eq!(super::tags("a, b,, c d ").collect::<Vec<_>>(), ["a", "b", "c d"]);
        let (long, many) = ("x".repeat(65), "x,".repeat(17));
        let big = format!(r#"{{"a":"{}"}}"#, "x".repeat(513));
        for (name, value) in [
            ("x-smartflow-timeout-ms", "0"),
            ("x-smartflow-timeout-ms", "1s"),
            ("x-smartflow-max-retries", "-1"),
            ("x-smartflow-model", ""),
            ("x-smartflow-tags", " , "),
            ("x-smartflow-tags", &*long),
            ("x-smartflow-tags", &*many),
            ("x-smartflow-metadata", "a=b"),
            ("x-smartflow-metadata", r#"{"a":{}}"#),
            ("x-smartflow-metadata", &*big),
        ] {
            assert_eq!(read(&[(name, value)], &all), Err("invalid_value"), "{name}: {value}");
        }
        let twice = [("x-smartflow-tags", "a"), ("x-smartflow-tags", "b")];
        let headers: HeaderMap = twice.iter().fold(HeaderMap::new(), |mut all, (name, value)| {
            all.append(*name, value.parse().unwrap());
            all
        });
        let key = Key { overrides: all.into_iter().collect(), ..key() };
        assert!(matches!(Wishes::read(&headers, &key), Err(Fault::Bad { code: "invalid_value", .. })));
    }

    #[test]
    fn fields_that_a_provider_does_not_know_may_be_asked_to_be_refused_by_all_and_dropped_by_few() {
        const HEADER: &str = "x-smartflow-unsupported";
        let asked = |word: &str, unsupported, allowed: &[Override]| {
            let key = Key { unsupported, overrides: allowed.iter().copied().collect(), ..key() };
            match Wishes::read(&headers(&[(HEADER, word)]), &key) {
                Ok(wishes) => Ok(wishes.unwrap().unsupported.unwrap()),
                Err(Fault::Bad { code, param, .. }) => {
                    assert_eq!(param.as_deref(), Some(HEADER));
                    Err(code)
                }
                Err(_) => Err("?"),
            }
        };
        use Unsupported::{Drop, Reject};
        assert_eq!((asked("Reject", Drop, &[]), asked(" drop ", Drop, &[])), (Ok(Reject), Ok(Drop)));
        assert_eq!(asked("reject", Reject, &[]), Ok(Reject));
        assert_eq!(asked("drop", Reject, &[]), Err("override_not_allowed"));
        assert_eq!(asked("drop", Reject, &[Override::Unsupported]), Ok(Drop));
        assert_eq!(asked("keep", Drop, &[]), Err("invalid_value"));
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
