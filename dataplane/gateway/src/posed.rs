//! A request as one target gets it: as the caller wrote it, or translated into what the target speaks. What it may use and
//! cost is read from that form, because it is the target that counts.

use crate::asked::Asked;
use crate::edge::fault::Fault;
use crate::pipeline::Endpoint;
use crate::routing::Route;
use http::{HeaderMap, HeaderName, HeaderValue};
use smartflow_dialect::Dialect;
use smartflow_dialect::chat::Unsupported;
use smartflow_dialect::translate::{self, Memory, TargetFacts, ThinkingSupport};
use smartflow_snapshot::Thinking;

const UNSUPPORTED: HeaderName = HeaderName::from_static("x-smartflow-unsupported");
/// Resellers and servers that take what several of them share beside OpenAI's own fields.
const EXTENDED: [&str; 3] = ["deepseek", "openrouter", "vllm"];

/// A request, for one target.
pub struct Posed<'a> {
    /// As the caller wrote it.
    pub caller: &'a Asked,
    /// Set where the target speaks otherwise.
    pub translation: Option<Box<Translation>>,
}

/// A request in the target's format.
pub struct Translation {
    /// The request.
    pub asked: Asked,
    /// What the answer's translation needs.
    pub memory: Memory,
    /// `x-smartflow-dropped`, where something could not be carried over.
    pub dropped: Option<HeaderValue>,
}

impl Posed<'_> {
    /// In the target's format.
    #[must_use]
    pub fn form(&self) -> &Asked {
        self.translation.as_ref().map_or(self.caller, |t| &t.asked)
    }
}

impl Translation {
    /// Translates `asked` for the route's target, whose answer is waited for from `now` on (Unix seconds); `None` where both
    /// speak alike, or where nobody is asked. `headers` are the caller's.
    ///
    /// # Errors
    /// [`Fault::Bad`] for what cannot be carried over, and may not be left out.
    pub fn of(
        asked: &Asked,
        route: &Route,
        headers: &HeaderMap,
        now: impl FnOnce() -> i64,
    ) -> Result<Option<Box<Self>>, Fault> {
        let (from, to) = (asked.dialect(), route.dialect());
        if from == to {
            return Ok(None);
        }
        let body = match asked {
            Asked::Chat(body, _) | Asked::Messages(body, _) => body,
            Asked::Count(..) => return Ok(None),
            Asked::Embeddings(..) => return Err(no_embeddings(route)),
        };
        let model = &*route.model;
        let facts = TargetFacts {
            max_output: model.max_output,
            legacy_max_tokens: model.legacy_max_tokens,
            stream: asked.streams(),
            unsupported: unsupported(headers)?,
            thinking: match model.thinking {
                None => ThinkingSupport::None,
                Some(Thinking::Budget) => ThinkingSupport::Budget,
                Some(Thinking::Effort) => ThinkingSupport::Effort,
            },
            fixed_sampling: model.hidden_output && &*route.provider.catalog == "openai",
            structured_output: model.structured_output,
            extensions: EXTENDED.contains(&&*route.provider.catalog),
            now: u64::try_from(now()).unwrap_or(0),
            ..TargetFacts::new(&model.upstream_name)
        };
        let translated = translate::request(from, to, body, &facts)?;
        let endpoint = match to {
            Dialect::OpenAi => Endpoint::Chat,
            Dialect::Anthropic => Endpoint::Messages,
        };
        let asked = Asked::scan(endpoint, translated.body).map_err(|fault| Fault::Internal {
            why: format!("a translated request cannot be read: {fault:?}"),
        })?;
        let dropped = Some(translated.dropped.join(", ")).filter(|d| !d.is_empty());
        let dropped = dropped.and_then(|d| HeaderValue::try_from(d).ok());
        Ok(Some(Box::new(Self { asked, memory: translated.memory, dropped })))
    }
}

/// What the caller wants done about fields that the target does not know.
fn unsupported(headers: &HeaderMap) -> Result<Unsupported, Fault> {
    let Some(value) = headers.get(UNSUPPORTED) else { return Ok(Unsupported::default()) };
    let text = value.as_bytes().trim_ascii();
    if text.eq_ignore_ascii_case(b"drop") {
        Ok(Unsupported::Drop)
    } else if text.eq_ignore_ascii_case(b"reject") {
        Ok(Unsupported::Reject)
    } else {
        Err(Fault::Bad {
            code: "invalid_value",
            param: Some(UNSUPPORTED.to_string()),
            message: format!("`{UNSUPPORTED}` takes `drop` or `reject`."),
        })
    }
}

fn no_embeddings(route: &Route) -> Fault {
    Fault::Bad {
        code: "invalid_value",
        param: Some("model".to_owned()),
        message: format!(
            "`{}` is served by a provider that speaks Anthropic's API, which has no embeddings: use another model.",
            route.model.name
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_to_do_about_unknown_fields_is_said_in_one_of_two_words() {
        let of =
            |value: &'static str| unsupported(&HeaderMap::from_iter([(UNSUPPORTED, value.parse().unwrap())]));
        assert_eq!(unsupported(&HeaderMap::new()).unwrap(), Unsupported::Drop);
        assert_eq!((of("Reject").unwrap(), of(" drop ").unwrap()), (Unsupported::Reject, Unsupported::Drop));
        let Err(Fault::Bad { param, .. }) = of("keep") else { panic!("accepted") };
        assert_eq!(param.as_deref(), Some("x-smartflow-unsupported"));
    }
}
