//! The pass over the top level of a Messages request.

use super::top::Top;
use super::{MessagesScan, content, tools};
use crate::json::{Cursor, Kind, Span, Str, Text};
use crate::openai::field::{boolean, cache_control, document, field, integer, string, whole, wrong};
use crate::openai::{BadRequest, Counts, Field, PromptBytes, ScanLimits};
use crate::{Feature, Features};

#[derive(Default)]
pub(super) struct Scan {
    seen: u32,
    model: Field<Text>,
    stream: Field<bool>,
    max_tokens: Field<u32>,
    pub(super) counts: Counts,
    pub(super) vendor_tools: u32,
    pub(super) toolsets: u32,
    pub(super) bytes: PromptBytes,
    pub(super) features: Features,
    reasoning_effort: Option<Text>,
    thinking: Option<Text>,
    thinking_budget: Option<u32>,
    service_tier: Option<Text>,
    user: Option<Text>,
    metadata: Option<Span>,
    pub(super) unsigned: Vec<Span>,
    pub(super) uncited: Vec<Span>,
}

/// `answers`: the request wants an answer, so it must be capped.
pub(super) fn scan(body: &[u8], limits: &ScanLimits, answers: bool) -> Result<MessagesScan, BadRequest> {
    let mut cursor = document(body, limits.depth)?;
    cursor.enter()?;
    let open = cursor.at();
    let mut scan = Scan::default();
    let mut first = true;
    while let Some(key) = cursor.key(&mut first)? {
        scan.member(&mut cursor, key)?;
    }
    cursor.end()?;
    scan.finish(open, answers)
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
            Top::Messages => content::messages(self, cursor)?,
            Top::System => {
                field(cursor, key, |c, kind| content::system(self, c, kind))?;
            }
            Top::MaxTokens => {
                self.max_tokens = field(cursor, key, |c, k| integer(c, k, param, (0, u32::MAX)))?
            }
            Top::Stream => self.stream = field(cursor, key, |c, kind| boolean(c, kind, param))?,
            Top::Tools => {
                let bytes = field(cursor, key, |c, kind| tools::tools(self, c, kind))?.value;
                self.bytes.tools += bytes.unwrap_or(0);
            }
            Top::Thinking => {
                field(cursor, key, |c, kind| self.thinking(c, kind))?;
            }
            Top::OutputConfig => {
                field(cursor, key, |c, kind| self.output_config(c, kind))?;
            }
            Top::OutputFormat => {
                let span = field(cursor, key, |c, kind| whole(c, kind, param, Kind::Object))?.value;
                self.bytes.schema += span.map_or(0, |span| span.len() as u64);
            }
            Top::Metadata => {
                field(cursor, key, |c, kind| self.metadata(c, kind))?;
            }
            Top::ServiceTier | Top::Speed => self.tier(cursor, key, top)?,
            Top::CacheControl => cache_control(&mut self.features, cursor)?,
            Top::InferenceGeo => self.ask(cursor, Feature::Region)?,
            Top::Container | Top::McpServers => self.ask(cursor, Feature::HostedTool)?,
            Top::ContextManagement => {
                if !forgets_only(cursor)? {
                    self.features.insert(Feature::Compaction);
                }
            }
            Top::Compaction => self.ask(cursor, Feature::Compaction)?,
            Top::Thread => self.ask(cursor, Feature::StoredContext)?,
            Top::Fallbacks => self.ask(cursor, Feature::OtherModels)?,
        }
        Ok(())
    }

    /// Something that is not null, and no empty list, is asked for.
    fn ask(&mut self, cursor: &mut Cursor<'_>, feature: Feature) -> Result<(), BadRequest> {
        let kind = cursor.peek()?;
        let value = cursor.skip()?.of(cursor.bytes());
        let empty = kind == Kind::Array && value.iter().all(|b| b"[] \t\r\n".contains(b));
        if kind != Kind::Null && !empty {
            self.features.insert(feature);
        }
        Ok(())
    }

    /// `auto` takes what the account has reserved, as its owner set it up.
    fn tier(&mut self, cursor: &mut Cursor<'_>, key: Str, top: Top) -> Result<(), BadRequest> {
        let Some(text) = field(cursor, key, |c, kind| string(c, kind, top.name()))?.value else {
            return Ok(());
        };
        let ordinary = match text.get(cursor.bytes()).as_ref() {
            "auto" | "standard_only" => top == Top::ServiceTier,
            "standard" => true,
            _ => false,
        };
        if top == Top::ServiceTier {
            self.service_tier = Some(text);
        }
        if !ordinary {
            self.features.insert(if top == Top::Speed { Feature::FastMode } else { Feature::PriorityTier });
        }
        Ok(())
    }

    fn thinking(&mut self, cursor: &mut Cursor<'_>, kind: Kind) -> Result<(), BadRequest> {
        if kind != Kind::Object {
            return Err(wrong("thinking", "an object", kind));
        }
        cursor.enter()?;
        let mut first = true;
        while let Some(key) = cursor.key(&mut first)? {
            let kind = cursor.peek()?;
            match (key.text.get(cursor.bytes()).as_ref(), kind) {
                ("type", Kind::String) => self.thinking = Some(cursor.string()?.text),
                ("budget_tokens", kind) if kind != Kind::Null => {
                    let budget = integer(cursor, kind, "thinking.budget_tokens", (0, u32::MAX))?;
                    self.thinking_budget = self.thinking_budget.max(Some(budget));
                }
                _ => {
                    cursor.skip()?;
                }
            }
        }
        Ok(())
    }

    fn output_config(&mut self, cursor: &mut Cursor<'_>, kind: Kind) -> Result<(), BadRequest> {
        if kind != Kind::Object {
            return Err(wrong("output_config", "an object", kind));
        }
        cursor.enter()?;
        let mut first = true;
        while let Some(key) = cursor.key(&mut first)? {
            let kind = cursor.peek()?;
            match (key.text.get(cursor.bytes()).as_ref(), kind) {
                ("effort", Kind::String) => self.reasoning_effort = Some(cursor.string()?.text),
                ("format", Kind::Object) => self.bytes.schema += cursor.skip()?.len() as u64,
                _ => self.bytes.other += cursor.skip()?.len() as u64,
            }
        }
        Ok(())
    }

    fn metadata(&mut self, cursor: &mut Cursor<'_>, kind: Kind) -> Result<(), BadRequest> {
        if kind != Kind::Object {
            return Err(wrong("metadata", "an object", kind));
        }
        let start = cursor.at();
        cursor.enter()?;
        let mut first = true;
        while let Some(key) = cursor.key(&mut first)? {
            let is_user = key.text.is(cursor.bytes(), "user_id");
            if is_user && cursor.peek()? == Kind::String {
                self.user = Some(cursor.string()?.text);
            } else {
                cursor.skip()?;
            }
        }
        self.metadata = Some(Span { start, end: cursor.at() });
        Ok(())
    }

    fn finish(self, open: usize, answers: bool) -> Result<MessagesScan, BadRequest> {
        let (Some(model), Some(model_member)) = (self.model.value, self.model.member) else {
            return Err(BadRequest::Missing { param: "model" });
        };
        if self.seen & Top::Messages.bit() == 0 {
            return Err(BadRequest::Missing { param: "messages" });
        }
        if answers && self.max_tokens.value.is_none() {
            return Err(BadRequest::Missing { param: "max_tokens" });
        }
        Ok(MessagesScan {
            model,
            model_member,
            open,
            stream: self.stream,
            max_tokens: self.max_tokens,
            counts: self.counts,
            vendor_tools: self.vendor_tools,
            toolsets: self.toolsets,
            json_schema: self.bytes.schema > 0,
            bytes: self.bytes,
            features: self.features,
            reasoning_effort: self.reasoning_effort,
            thinking: self.thinking,
            thinking_budget: self.thinking_budget,
            service_tier: self.service_tier,
            user: self.user,
            metadata: self.metadata,
            unsigned: self.unsigned,
            uncited: self.uncited,
        })
    }
}

/// Nothing but edits that leave something of the conversation out, which costs nothing: coding agents ask for that with
/// every call. Edits that we do not know may call the model once more.
fn forgets_only(cursor: &mut Cursor<'_>) -> Result<bool, BadRequest> {
    let kind = cursor.peek()?;
    if kind != Kind::Object {
        cursor.skip()?;
        return Ok(kind == Kind::Null);
    }
    cursor.enter()?;
    let (mut first, mut only) = (true, true);
    while let Some(key) = cursor.key(&mut first)? {
        if key.text.is(cursor.bytes(), "edits") && cursor.peek()? == Kind::Array {
            cursor.enter()?;
            let mut first = true;
            while cursor.element(&mut first)? {
                only &= forgets(cursor)?;
            }
        } else {
            only &= cursor.peek()? == Kind::Null;
            cursor.skip()?;
        }
    }
    Ok(only)
}

fn forgets(cursor: &mut Cursor<'_>) -> Result<bool, BadRequest> {
    if cursor.peek()? != Kind::Object {
        cursor.skip()?;
        return Ok(false);
    }
    cursor.enter()?;
    let (mut first, mut named, mut other) = (true, false, false);
    while let Some(key) = cursor.key(&mut first)? {
        let kind = cursor.peek()?;
        if !key.text.is(cursor.bytes(), "type") {
            cursor.skip()?;
        } else if kind == Kind::String {
            let word = cursor.string()?.text;
            let forgets = word.get(cursor.bytes()).starts_with("clear_");
            (named, other) = (named | forgets, other | !forgets);
        } else {
            cursor.skip()?;
            other = true;
        }
    }
    Ok(named && !other)
}
