//! The pass over the top level of a chat request.

use super::super::field::{
    boolean, cache_control, document, field, integer, same_but_for_case, string, whole, wrong,
};
use super::super::{BadRequest, Field};
use super::top::Top;
use super::{ChatScan, Counts, PromptBytes, ScanLimits, StreamOptions, media, message};
use crate::json::{Cursor, Kind, Span, Str, Text};
use crate::{Feature, Features};

/// Most answers that one request may ask for, as OpenAI has it.
const MOST_ANSWERS: u32 = 128;

#[derive(Default)]
pub(super) struct Scan {
    seen: u32,
    model: Field<Text>,
    stream: Field<bool>,
    stream_options: Field<StreamOptions>,
    max_tokens: Field<u32>,
    max_completion_tokens: Field<u32>,
    n: Option<u32>,
    pub(super) counts: Counts,
    pub(super) bytes: PromptBytes,
    pub(super) features: Features,
    pub(super) reasoning_effort: Option<Text>,
    pub(super) thinking_budget: Option<u32>,
    pub(super) thoughts: Vec<Span>,
    service_tier: Option<Text>,
    json_schema: bool,
    store: bool,
    user: Option<Text>,
    safety_identifier: Option<Text>,
    prompt_cache_key: Option<Text>,
    metadata: Option<Span>,
}

pub(super) fn scan(body: &[u8], limits: &ScanLimits) -> Result<ChatScan, BadRequest> {
    let mut cursor = document(body, limits.depth)?;
    cursor.enter()?;
    let open = cursor.at();
    let mut scan = Scan::default();
    let mut first = true;
    while let Some(key) = cursor.key(&mut first)? {
        scan.member(&mut cursor, key)?;
    }
    cursor.end()?;
    scan.finish(open)
}

/// True when `field` was asked for with something else than null or false.
fn asked(cursor: &mut Cursor<'_>, key: Str) -> Result<bool, BadRequest> {
    let asked = field(cursor, key, |cursor, kind| {
        let value = cursor.skip()?;
        Ok(kind != Kind::Bool || value.len() == "true".len())
    })?;
    Ok(asked.value == Some(true))
}

impl Scan {
    fn member(&mut self, cursor: &mut Cursor<'_>, key: Str) -> Result<(), BadRequest> {
        let name = key.text.bytes(cursor.bytes());
        let Some(top) = Top::named(&name) else {
            if let Some(like) = Top::resembling(&name) {
                return Err(BadRequest::Misspelt { param: like.name() });
            }
            self.bytes.other += cursor.skip()?.len() as u64;
            return Ok(());
        };
        if self.seen & top.bit() != 0 {
            return Err(BadRequest::Duplicate { param: top.name() });
        }
        self.seen |= top.bit();
        self.known(cursor, key, top)
    }

    fn known(&mut self, cursor: &mut Cursor<'_>, key: Str, top: Top) -> Result<(), BadRequest> {
        let param = top.name();
        match top {
            Top::Model => self.model = field(cursor, key, |c, kind| string(c, kind, param))?,
            Top::Messages => message::messages(self, cursor)?,
            Top::Stream => self.stream = field(cursor, key, |c, kind| boolean(c, kind, param))?,
            Top::StreamOptions => self.stream_options = field(cursor, key, stream_options)?,
            Top::MaxTokens => {
                self.max_tokens = field(cursor, key, |c, k| integer(c, k, param, (1, u32::MAX)))?
            }
            Top::MaxCompletionTokens => {
                self.max_completion_tokens = field(cursor, key, |c, k| integer(c, k, param, (1, u32::MAX)))?;
            }
            Top::N => self.n = field(cursor, key, |c, k| integer(c, k, param, (1, MOST_ANSWERS)))?.value,
            Top::Tools | Top::Functions => {
                self.bytes.tools +=
                    field(cursor, key, |c, kind| self.tools(c, kind, param))?.value.unwrap_or(0);
            }
            Top::ResponseFormat => {
                let read = field(cursor, key, response_format)?.value;
                self.json_schema = read.is_some_and(|(schema, _)| schema);
                self.bytes.schema = read.map_or(0, |(_, bytes)| bytes);
            }
            Top::Prediction => {
                if let Some(span) = field(cursor, key, |c, kind| whole(c, kind, param, Kind::Object))?.value {
                    self.bytes.prediction = span.len() as u64;
                    self.features.insert(Feature::Prediction);
                }
            }
            Top::Reasoning | Top::Thinking => {
                field(cursor, key, |c, kind| self.reasoning(c, kind))?;
            }
            Top::Modalities => {
                field(cursor, key, |c, kind| media::modalities(&mut self.features, c, kind))?;
            }
            Top::Audio => self.ask(cursor, key, Feature::AudioOutput)?,
            Top::WebSearchOptions | Top::SearchParameters | Top::EnableSearch => {
                self.ask(cursor, key, Feature::WebSearch)?;
            }
            Top::Plugins => self.ask(cursor, key, Feature::Plugins)?,
            Top::Models => self.ask(cursor, key, Feature::OtherModels)?,
            Top::NPredict | Top::MaxNewTokens | Top::MaxOutputTokens => {
                self.ask(cursor, key, Feature::OtherCap)?
            }
            Top::Metadata => {
                self.metadata = field(cursor, key, |c, k| whole(c, k, param, Kind::Object))?.value
            }
            Top::Store => self.store = field(cursor, key, |c, k| boolean(c, k, param))?.value == Some(true),
            Top::ServiceTier | Top::ReasoningEffort => self.labels(cursor, key, top)?,
            Top::User | Top::SafetyIdentifier | Top::PromptCacheKey => self.labels(cursor, key, top)?,
        }
        Ok(())
    }

    fn labels(&mut self, cursor: &mut Cursor<'_>, key: Str, top: Top) -> Result<(), BadRequest> {
        let text = field(cursor, key, |c, kind| string(c, kind, top.name()))?.value;
        match top {
            Top::ServiceTier => {
                self.service_tier = text;
                if let Some(tier) = text {
                    self.tier(&tier.get(cursor.bytes()));
                }
            }
            Top::ReasoningEffort => self.reasoning_effort = text,
            Top::User => self.user = text,
            Top::SafetyIdentifier => self.safety_identifier = text,
            _ => self.prompt_cache_key = text,
        }
        Ok(())
    }

    /// `auto` is what the account was set to by its owner; `on_demand` is Groq's word for the ordinary tier.
    fn tier(&mut self, tier: &str) {
        match tier {
            "auto" | "default" | "standard" | "standard_only" | "on_demand" => {}
            "flex" => self.features.insert(Feature::FlexTier),
            _ => self.features.insert(Feature::PriorityTier),
        }
    }

    fn ask(&mut self, cursor: &mut Cursor<'_>, key: Str, feature: Feature) -> Result<(), BadRequest> {
        if asked(cursor, key)? {
            self.features.insert(feature);
        }
        Ok(())
    }

    /// Bytes of the tools; counts them and finds those that the vendor runs itself.
    fn tools(&mut self, cursor: &mut Cursor<'_>, kind: Kind, param: &'static str) -> Result<u64, BadRequest> {
        if kind != Kind::Array {
            return Err(wrong(param, "an array", kind));
        }
        let start = cursor.at();
        cursor.enter()?;
        let mut first = true;
        while cursor.element(&mut first)? {
            let kind = cursor.peek()?;
            if kind != Kind::Object {
                return Err(wrong(format!("{param}[{}]", self.counts.tools), "an object", kind));
            }
            self.counts.tools += 1;
            cursor.enter()?;
            let mut first = true;
            while let Some(key) = cursor.key(&mut first)? {
                let name = key.text.get(cursor.bytes());
                if name == "cache_control" {
                    cache_control(&mut self.features, cursor)?;
                    continue;
                }
                let value = cursor.skip()?.of(cursor.bytes());
                let ours = matches!(value, b"\"function\"" | b"\"custom\"");
                if param == Top::Tools.name() && same_but_for_case(&name, "type") && !ours {
                    self.features.insert(Feature::HostedTool);
                }
            }
        }
        Ok((cursor.at() - start) as u64)
    }

    /// OpenRouter's `reasoning` and the `thinking` of others.
    fn reasoning(&mut self, cursor: &mut Cursor<'_>, kind: Kind) -> Result<(), BadRequest> {
        if kind != Kind::Object {
            cursor.skip()?;
            return Ok(());
        }
        cursor.enter()?;
        let mut first = true;
        while let Some(key) = cursor.key(&mut first)? {
            let name = key.text.get(cursor.bytes());
            let kind = cursor.peek()?;
            match (name.as_ref(), kind) {
                ("effort", Kind::String) => self.reasoning_effort = Some(cursor.string()?.text),
                ("max_tokens" | "budget_tokens", Kind::Number) => {
                    let budget = integer(cursor, kind, "reasoning", (0, u32::MAX))?;
                    self.thinking_budget = self.thinking_budget.max(Some(budget));
                }
                _ => {
                    cursor.skip()?;
                }
            }
        }
        Ok(())
    }

    fn finish(self, open: usize) -> Result<ChatScan, BadRequest> {
        let (Some(model), Some(model_member)) = (self.model.value, self.model.member) else {
            return Err(BadRequest::Missing { param: "model" });
        };
        if self.seen & Top::Messages.bit() == 0 {
            return Err(BadRequest::Missing { param: "messages" });
        }
        if self.max_tokens.value.is_some() && self.max_completion_tokens.value.is_some() {
            return Err(BadRequest::Conflict { param: "max_tokens", other: "max_completion_tokens" });
        }
        Ok(ChatScan {
            model,
            model_member,
            open,
            stream: self.stream,
            stream_options: self.stream_options,
            max_tokens: self.max_tokens,
            max_completion_tokens: self.max_completion_tokens,
            n: self.n.unwrap_or(1),
            counts: self.counts,
            bytes: self.bytes,
            features: self.features,
            reasoning_effort: self.reasoning_effort,
            thinking_budget: self.thinking_budget,
            thoughts: self.thoughts,
            service_tier: self.service_tier,
            json_schema: self.json_schema,
            store: self.store,
            user: self.user,
            safety_identifier: self.safety_identifier,
            prompt_cache_key: self.prompt_cache_key,
            metadata: self.metadata,
        })
    }
}

fn stream_options(cursor: &mut Cursor<'_>, kind: Kind) -> Result<StreamOptions, BadRequest> {
    const PARAM: &str = "stream_options.include_usage";
    if kind != Kind::Object {
        return Err(wrong("stream_options", "an object", kind));
    }
    cursor.enter()?;
    let mut options = StreamOptions { include_usage: Field::default(), open: cursor.at(), empty: true };
    let mut first = true;
    while let Some(key) = cursor.key(&mut first)? {
        options.empty = false;
        let name = key.text.get(cursor.bytes());
        if name != "include_usage" {
            if same_but_for_case(&name, "include_usage") {
                return Err(BadRequest::Misspelt { param: PARAM });
            }
            cursor.skip()?;
            continue;
        }
        if options.include_usage.member.is_some() {
            return Err(BadRequest::Duplicate { param: PARAM });
        }
        options.include_usage = field(cursor, key, |c, kind| boolean(c, kind, PARAM))?;
    }
    Ok(options)
}

/// (it is a JSON schema, its bytes).
fn response_format(cursor: &mut Cursor<'_>, kind: Kind) -> Result<(bool, u64), BadRequest> {
    if kind != Kind::Object {
        return Err(wrong("response_format", "an object", kind));
    }
    let start = cursor.at();
    cursor.enter()?;
    let mut schema = false;
    let mut first = true;
    while let Some(key) = cursor.key(&mut first)? {
        let is_type = key.text.is(cursor.bytes(), "type");
        let value = cursor.skip()?.of(cursor.bytes());
        schema |= is_type && value == b"\"json_schema\"";
    }
    Ok((schema, (cursor.at() - start) as u64))
}

/// Pairs of strings of the object in `json`, at most 16.
pub(crate) fn string_pairs(json: &[u8]) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut read = || -> Result<(), crate::JsonFault> {
        let mut cursor = Cursor::new(json, u8::MAX)?;
        cursor.peek()?;
        cursor.enter()?;
        let mut first = true;
        while let Some(key) = cursor.key(&mut first)? {
            if cursor.peek()? != Kind::String {
                cursor.skip()?;
                continue;
            }
            let value = cursor.string()?;
            if pairs.len() < 16 {
                pairs.push((key.text.get(json).into_owned(), value.text.get(json).into_owned()));
            }
        }
        Ok(())
    };
    // The object was scanned before: it cannot fail, and half of the pairs would do for a log line.
    let _ = read();
    pairs
}
