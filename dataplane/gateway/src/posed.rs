//! A request as one target gets it: as the caller wrote it, or translated into what the target speaks. What it may use and
//! cost is read from that form, because it is the target that counts.

use crate::asked::Asked;
use crate::edge::fault::Fault;
use crate::pipeline::Endpoint;
use crate::routing::Route;
use http::HeaderValue;
use smartflow_dialect::Dialect;
use smartflow_dialect::chat;
use smartflow_dialect::translate::{self, Memory, TargetFacts, ThinkingSupport};
use smartflow_snapshot::{Habit, Refused, Thinking, Unsupported};

/// Longest name of a field that is told, in characters.
const LONGEST_FIELD: usize = 64;

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
    /// speak alike, or where nobody is asked.
    ///
    /// # Errors
    /// [`Fault::Bad`] for what cannot be carried over, and may not be left out.
    pub fn of(
        asked: &Asked,
        route: &Route,
        unsupported: Unsupported,
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
            unsupported: match unsupported {
                Unsupported::Drop => chat::Unsupported::Drop,
                Unsupported::Reject => chat::Unsupported::Reject,
            },
            thinking: match model.thinking {
                None => ThinkingSupport::None,
                Some(Thinking::Budget) => ThinkingSupport::Budget,
                Some(Thinking::Effort) => ThinkingSupport::Effort,
            },
            fixed_sampling: model.refuses(Refused::Sampling)
                || (model.hidden_output && route.provider.has(Habit::FixedSampling)),
            free_tools: model.refuses(Refused::ForcedTools),
            always_thinks: model.refuses(Refused::NoThinking),
            no_prefill: model.refuses(Refused::Prefill),
            structured_output: model.structured_output,
            extensions: route.provider.has(Habit::SharedFields),
            now: u64::try_from(now()).unwrap_or(0),
            ..TargetFacts::new(&model.upstream_name)
        };
        let translated = translate::request(from, to, body, &facts)?;
        let endpoint = match to {
            Dialect::OpenAi => Endpoint::Chat,
            Dialect::Anthropic => Endpoint::Messages,
        };
        let asked = Asked::scan(endpoint, translated.body).map_err(|fault| in_its_words(fault, route))?;
        let dropped = (!translated.dropped.is_empty()).then(|| listed(&translated.dropped));
        Ok(Some(Box::new(Self { asked, memory: translated.memory, dropped })))
    }
}

/// A translated request breaks a rule of the target's format that the caller's own did not break: arguments of a call that
/// were text are nested deeper than an object may be.
fn in_its_words(fault: Fault, route: &Route) -> Fault {
    match fault {
        Fault::Bad { code, message, .. } => Fault::Bad {
            code,
            param: None,
            message: format!(
                "`{}` is served by a provider with another format, in which the request would be refused: {message}",
                route.model.name
            ),
        },
        other => other,
    }
}

/// Fields, for a header: callers may write any character into their names.
fn listed<T: AsRef<str>>(fields: &[T]) -> HeaderValue {
    let mut text = String::new();
    for field in fields {
        let comma = if text.is_empty() { "" } else { ", " };
        text.push_str(comma);
        let plain = |c: char| if c.is_ascii_graphic() && c != ',' { c } else { '?' };
        text.extend(field.as_ref().chars().take(LONGEST_FIELD).map(plain));
    }
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("?"))
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
    use super::*;

    #[test]
    fn whatever_a_field_is_called_it_is_listed() {
        let long = "x".repeat(1000);
        let list = listed(&["seed", "a\nb,c\u{e9}", "and-more", &long]);
        assert_eq!(list, format!("seed, a?b?c?, and-more, {}", "x".repeat(LONGEST_FIELD)));
    }
}
