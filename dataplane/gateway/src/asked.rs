//! A request, scanned: the facts that the steps need, and the body that goes upstream.

use crate::budget::hold::Reserved;
use crate::budget::plan::Wish;
use crate::budget::price::Extras;
use crate::edge::fault::Fault;
use crate::exchange::Exchange;
use crate::pipeline::Endpoint;
use crate::routing::{Route, params};
use bytes::Bytes;
use smartflow_dialect::anthropic::{self, CountTokensRequest, MessagesRequest, MessagesScan};
use smartflow_dialect::openai::{
    BadRequest, CapName, ChatRequest, ChatScan, Edits, EmbeddingsRequest, EmbeddingsScan, OutputCap,
    ScanLimits, embeddings_estimate, embeddings_input_bound, input_bound, input_estimate,
};
use smartflow_dialect::{Dialect, Feature, Features, Text};
use smartflow_snapshot::Habit;
use std::borrow::Cow;

/// Longest `user` and `metadata` that the usage line carries.
const LONGEST_TAG: usize = 4096;

/// What a caller asked for.
pub enum Asked {
    /// A chat completion.
    Chat(Bytes, Box<ChatScan>),
    /// Embeddings.
    Embeddings(Bytes, Box<EmbeddingsScan>),
    /// A message of Anthropic's API.
    Messages(Bytes, Box<MessagesScan>),
    /// How many tokens such a message would take.
    Count(Bytes, Box<MessagesScan>),
}

impl From<BadRequest> for Fault {
    fn from(bad: BadRequest) -> Self {
        Self::Bad { code: bad.code(), param: bad.param().map(str::to_owned), message: bad.to_string() }
    }
}

impl Asked {
    /// Scans `body`.
    ///
    /// # Errors
    /// [`Fault::Bad`], naming the field.
    pub fn scan(endpoint: Endpoint, body: Bytes) -> Result<Self, Fault> {
        let limits = ScanLimits::default();
        match endpoint {
            Endpoint::Chat => {
                let scan = Box::new(ChatRequest::scan(&body, &limits)?);
                one_model(scan.features, Feature::OtherModels.param())?;
                Ok(Self::Chat(body, scan))
            }
            Endpoint::Messages => {
                let scan = Box::new(MessagesRequest::scan(&body, &limits)?);
                one_model(scan.features, MessagesScan::param(Feature::OtherModels))?;
                Ok(Self::Messages(body, scan))
            }
            Endpoint::CountTokens => {
                let scan = Box::new(CountTokensRequest::scan(&body, &limits)?);
                Ok(Self::Count(body, scan))
            }
            Endpoint::Embeddings => {
                let scan = Box::new(EmbeddingsRequest::scan(&body, &limits)?);
                Ok(Self::Embeddings(body, scan))
            }
        }
    }

    /// The model as the caller wrote it.
    #[must_use]
    pub fn model(&self) -> Cow<'_, str> {
        match self {
            Self::Chat(body, scan) => scan.model.get(body),
            Self::Embeddings(body, scan) => scan.model.get(body),
            Self::Messages(body, scan) | Self::Count(body, scan) => scan.model.get(body),
        }
    }

    /// The format that it is in.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Chat(..) | Self::Embeddings(..) => Dialect::OpenAi,
            Self::Messages(..) | Self::Count(..) => Dialect::Anthropic,
        }
    }

    /// Its answer may come as a stream.
    #[must_use]
    pub fn may_stream(&self) -> bool {
        matches!(self, Self::Chat(..) | Self::Messages(..))
    }

    /// How many tokens it would take, about, where only that is asked, and of a target that cannot be asked.
    #[must_use]
    pub fn counted_here(&self, route: &Route) -> Option<u64> {
        match self {
            Self::Count(_, scan) if route.dialect() != Dialect::Anthropic => {
                Some(anthropic::input_estimate(scan, route.model.image_tokens))
            }
            _ => None,
        }
    }

    /// Nobody bills it.
    #[must_use]
    pub fn is_free(&self) -> bool {
        matches!(self, Self::Count(..))
    }

    /// It is for an embedding model.
    #[must_use]
    pub fn embeds(&self) -> bool {
        matches!(self, Self::Embeddings(..))
    }

    /// The caller reads a stream.
    #[must_use]
    pub fn streams(&self) -> bool {
        match self {
            Self::Chat(_, scan) => scan.streams(),
            Self::Messages(_, scan) => scan.streams(),
            Self::Embeddings(..) | Self::Count(..) => false,
        }
    }

    /// Answers asked for.
    #[must_use]
    pub fn choices(&self) -> u32 {
        if let Self::Chat(_, scan) = self { scan.n } else { 1 }
    }

    /// The caller wants the usage chunk.
    #[must_use]
    pub fn wants_usage(&self) -> bool {
        matches!(self, Self::Chat(_, scan) if scan.wants_usage())
    }

    /// Writes down what the usage line tells of the request.
    pub fn note(&self, exchange: &mut Exchange) {
        let text = |text: Option<Text>, body: &Bytes| -> Option<Box<str>> {
            text.filter(|t| t.span.len() <= LONGEST_TAG).map(|t| t.get(body).into())
        };
        exchange.stream = self.streams();
        match self {
            Self::Chat(body, scan) => {
                exchange.user = text(scan.user, body);
                let raw = scan.metadata.filter(|s| s.len() <= LONGEST_TAG).map(|s| s.of(body));
                // What the call itself says of it comes first.
                if exchange.metadata.is_none() {
                    exchange.metadata = raw.and_then(|r| std::str::from_utf8(r).ok()).map(Into::into);
                }
            }
            Self::Embeddings(body, scan) => exchange.user = text(scan.user, body),
            Self::Messages(body, scan) | Self::Count(body, scan) => {
                exchange.user = text(scan.user, body);
                let raw = scan.metadata.filter(|s| s.len() <= LONGEST_TAG).map(|s| s.of(body));
                // What the call itself says of it comes first.
                if exchange.metadata.is_none() {
                    exchange.metadata = raw.and_then(|r| std::str::from_utf8(r).ok()).map(Into::into);
                }
            }
        }
    }

    /// Input tokens by bytes/4, uncorrected.
    #[must_use]
    pub fn estimate(&self, route: &Route) -> u64 {
        match self {
            Self::Chat(_, scan) => input_estimate(scan, route.model.image_tokens),
            Self::Embeddings(_, scan) => embeddings_estimate(scan),
            Self::Messages(_, scan) => anthropic::input_estimate(scan, route.model.image_tokens),
            Self::Count(..) => 0,
        }
    }

    /// What a plan needs to know.
    #[must_use]
    pub fn wish(&self, route: &Route) -> Wish {
        match self {
            Self::Chat(_, scan) => Wish {
                input_bound: with_files(scan.features, input_bound(scan, route.model.image_tokens)),
                cap: route.lowered(scan.output_cap()).or(scan.output_cap()).map(u64::from),
                n: u64::from(scan.n),
                thinking: u64::from(scan.thinking_budget.unwrap_or(0)),
                stream: scan.streams(),
                embeds: false,
                streamable: true,
            },
            Self::Embeddings(_, scan) => Wish::input_only(embeddings_input_bound(scan)),
            Self::Messages(_, scan) => Wish {
                input_bound: with_files(
                    scan.features,
                    anthropic::input_bound(scan, route.model.image_tokens),
                ),
                cap: route.lowered(scan.output_cap()).or(scan.output_cap()).map(u64::from),
                n: 1,
                thinking: u64::from(scan.thinking_budget.unwrap_or(0)),
                stream: scan.streams(),
                embeds: false,
                streamable: true,
            },
            Self::Count(..) => Wish::input_only(0),
        }
    }

    /// The body and how many of its input tokens are bounded by bytes of text, where counting them could help.
    #[must_use]
    pub fn countable(&self) -> Option<(&Bytes, u64)> {
        match self {
            Self::Chat(body, scan) if scan.counts.images == 0 => {
                let b = &scan.bytes;
                Some((body, b.text + b.tools + b.schema + b.prediction + b.other))
            }
            Self::Embeddings(body, scan) => Some((body, scan.text_bytes)),
            Self::Chat(..) | Self::Messages(..) | Self::Count(..) => None,
        }
    }

    /// Refuses what has no price (L16). Returns what is involved beside ordinary tokens.
    ///
    /// # Errors
    /// [`Fault::PriceUnknown`], naming the field to set.
    pub fn priced(&self, route: &Route) -> Result<Extras, Fault> {
        let (features, param): (Features, fn(Feature) -> &'static str) = match self {
            Self::Chat(_, scan) => (scan.features, Feature::param),
            Self::Messages(_, scan) => (scan.features, MessagesScan::param),
            Self::Embeddings(..) | Self::Count(..) => return Ok(Extras::default()),
        };
        let price = &route.model.price;
        for feature in features.iter() {
            let (known, field) = match feature {
                Feature::AudioInput => (price.audio_input.is_some(), "price.audioInput"),
                Feature::AudioOutput => (price.audio_output.is_some(), "price.audioOutput"),
                Feature::HourCache => (price.cache_write_hour.is_some(), "price.cacheWriteHour"),
                // A file is paid for as what its tokens are; [`Asked::sized`] sees to how many they can be.
                Feature::FlexTier | Feature::FileInput => (true, ""),
                _ => return Err(unpriced(route, feature.name(), param(feature))),
            };
            if !known {
                return Err(no_price(route, feature.name(), field));
            }
        }
        // Audio is counted by the vendor alone: without a bound from the request it cannot be held in advance.
        if features.contains(Feature::AudioInput) {
            return Err(unpriced(route, Feature::AudioInput.name(), param(Feature::AudioInput)));
        }
        let hour = features.contains(Feature::HourCache);
        Ok(Extras { audio: features.contains(Feature::AudioOutput), hour })
    }

    /// Refuses what could be of any length (L17).
    ///
    /// # Errors
    /// [`Fault::PriceUnknown`], naming the field to set.
    pub fn sized(&self, route: &Route) -> Result<(), Fault> {
        let files = match self {
            Self::Chat(_, scan) => scan.features.contains(Feature::FileInput),
            Self::Messages(_, scan) => scan.features.contains(Feature::FileInput),
            Self::Embeddings(..) | Self::Count(..) => false,
        };
        if files && route.model.context_window.is_none() { Err(no_window(route)) } else { Ok(()) }
    }

    /// The body for the provider: the caller's bytes, but for what must change.
    #[must_use]
    pub fn upstream_body(&self, route: &Route, reserved: &Reserved) -> Bytes {
        match self {
            Self::Embeddings(body, scan) => scan.splice(body, &route.model.upstream_name),
            Self::Chat(body, scan) => {
                let name = cap_name(scan, route.model.legacy_max_tokens);
                let cap = reserved.cap().and_then(|tokens| u32::try_from(tokens).ok());
                let cap = cap.or_else(|| route.lowered(scan.output_cap()));
                let stream = scan.streams() || reserved.as_stream();
                let edits = Edits {
                    model: Some(&route.model.upstream_name),
                    output_cap: cap.map(|tokens| OutputCap { name, tokens }),
                    stream,
                    include_usage: stream,
                    // Histories hold what other providers thought (64, 65).
                    drop_thoughts: route.provider.has(Habit::RefusesThoughts),
                };
                with_params(route, scan.splice(body, &edits))
            }
            Self::Messages(body, scan) => {
                let cap = reserved.cap().and_then(|tokens| u32::try_from(tokens).ok());
                let edits = anthropic::Edits {
                    model: Some(&route.model.upstream_name),
                    max_tokens: cap.or_else(|| route.lowered(scan.output_cap())),
                    stream: reserved.as_stream(),
                    drop_unsigned: route.provider.has(Habit::ChecksSignatures),
                };
                with_params(route, scan.splice(body, &edits))
            }
            Self::Count(body, scan) => {
                let model = Some(&*route.model.upstream_name);
                scan.splice(body, &anthropic::Edits { model, ..anthropic::Edits::default() })
            }
        }
    }
}

/// Nothing in a request says how many tokens a file is; no more than the model's window, where a plan ends it (L16).
fn with_files(features: Features, bound: u64) -> u64 {
    if features.contains(Feature::FileInput) { u64::MAX } else { bound }
}

/// What a target of a chain sets; both formats call it alike.
fn with_params(route: &Route, body: Bytes) -> Bytes {
    match &route.params {
        Some(params) => params::apply(params, body),
        None => body,
    }
}

/// Refuses a list of further models: they would answer in place of the one that this key was granted.
fn one_model(features: Features, param: &str) -> Result<(), Fault> {
    if !features.contains(Feature::OtherModels) {
        return Ok(());
    }
    Err(Fault::Bad {
        code: "invalid_value",
        param: Some(param.to_owned()),
        message: "A list of alternative models is not accepted here: name one model.".to_owned(),
    })
}

/// The name that the output cap goes by. A model that knows `max_tokens` only would overlook the other name, and with it
/// the cap that the budget rests on (L18); one that takes both gets the caller's.
fn cap_name(scan: &ChatScan, legacy: bool) -> CapName {
    if legacy || scan.max_tokens.value.is_some() { CapName::MaxTokens } else { CapName::MaxCompletionTokens }
}

/// A price is missing that the resource could name.
#[must_use]
pub fn no_price(route: &Route, what: &str, field: &str) -> Fault {
    Fault::PriceUnknown {
        what: format!(
            "This key has a budget and {what} of `{}` has no price: set spec.models[].{field} of LLMProvider {} (0 is a price).",
            route.model.name, route.provider.name
        ),
    }
}

/// A file could be of any length.
fn no_window(route: &Route) -> Fault {
    Fault::PriceUnknown {
        what: format!(
            "This key has a budget and a file (`messages`) may fill the window of `{}`, which is not known: set spec.models[].contextWindow of LLMProvider {}.",
            route.model.name, route.provider.name
        ),
    }
}

fn unpriced(route: &Route, what: &str, param: &str) -> Fault {
    Fault::PriceUnknown {
        what: format!(
            "This key has a budget and {what} (`{param}`) cannot be priced for `{}`: leave it out, or use a key without a budget.",
            route.model.name
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_cap_goes_by_a_name_that_the_model_obeys() {
        let name = |cap: &str, legacy| {
            let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}]{cap}}}"#);
            cap_name(&ChatRequest::scan(body.as_bytes(), &ScanLimits::default()).unwrap(), legacy)
        };
        let (old, new) = (CapName::MaxTokens, CapName::MaxCompletionTokens);
        assert_eq!((name("", true), name("", false)), (old, new));
        assert_eq!((name(r#","max_tokens":9"#, true), name(r#","max_tokens":9"#, false)), (old, old));
        let newer = r#","max_completion_tokens":9"#;
        assert_eq!((name(newer, true), name(newer, false)), (old, new));
    }
}
