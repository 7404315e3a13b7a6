//! Content blocks, of requests and answers.

use super::request::string;
use super::source::source;
use crate::chat::{
    CacheMark, Chat, DocumentPart, ImagePart, Part, Raw, Source, TextPart, ThinkingPart, ToolResult, ToolUse,
};
use crate::json::{Cursor, JsonFault, Kind};
use crate::openai::BadRequest;
use crate::openai::field::{boolean, wrong};
use std::borrow::Cow;

/// Reads content: a string, or blocks. Empty texts are left out (cases 2 and 3).
pub(super) fn blocks<'a>(
    chat: &mut Chat<'a>,
    cursor: &mut Cursor<'a>,
    kind: Kind,
    path: &dyn Fn() -> String,
) -> Result<Vec<Part<'a>>, BadRequest> {
    let mut parts = Vec::new();
    match kind {
        Kind::String => parts.push(Part::text(cursor.text()?)),
        Kind::Array => cursor.elements(|cursor, index, kind| {
            let path = || format!("{}[{index}]", path());
            if kind != Kind::Object {
                return Err(wrong(path(), "an object", kind));
            }
            parts.push(block(chat, cursor, &path)?);
            Ok(())
        })?,
        _ => return Err(wrong(path(), "a string or an array of objects", kind)),
    }
    parts.retain(|part| !matches!(part, Part::Text(text) if text.text.is_empty()));
    Ok(parts)
}

/// What the members of a block say.
#[derive(Default)]
struct Members<'a> {
    word: Option<Cow<'a, str>>,
    text: Option<Cow<'a, str>>,
    citations: Option<Raw<'a>>,
    cited: bool,
    /// `Some(None)`: a source that has no place in the canonical chat.
    source: Option<Option<Source<'a>>>,
    title: Option<Cow<'a, str>>,
    context: Option<Cow<'a, str>>,
    id: Option<Cow<'a, str>>,
    name: Option<Cow<'a, str>>,
    input: Option<&'a str>,
    /// `content` of a tool result; any other block's is passed over.
    content: Option<Vec<Part<'a>>>,
    is_error: bool,
    signature: Option<Cow<'a, str>>,
    data: Option<Cow<'a, str>>,
    cache: Option<CacheMark>,
    /// It belongs to a set of tools, or was called from code: only Anthropic knows such calls.
    native: bool,
    omitted: bool,
}

fn block<'a>(
    chat: &mut Chat<'a>,
    cursor: &mut Cursor<'a>,
    path: &dyn Fn() -> String,
) -> Result<Part<'a>, BadRequest> {
    let start = cursor.at();
    // Which members mean what is known by the type, which may come last.
    let word = block_type(cursor)?;
    let mut read = Members { word, ..Members::default() };
    cursor.members(|cursor, name, kind| read.member(chat, cursor, (name, kind), path))?;
    if read.omitted {
        chat.omit("messages[].content[]");
    }
    let raw = cursor.bytes().get(start..cursor.at()).unwrap_or_default();
    read.into_part(&|| Raw(String::from_utf8_lossy(raw)), path)
}

/// The type of the block at which `start` stands.
fn block_type<'a>(start: &Cursor<'a>) -> Result<Option<Cow<'a, str>>, JsonFault> {
    let mut ahead = Cursor::within(start.bytes(), start.at());
    ahead.peek()?;
    ahead.enter()?;
    let mut first = true;
    while let Some(key) = ahead.key(&mut first)? {
        if key.text.is(ahead.bytes(), "type") && ahead.peek()? == Kind::String {
            return ahead.text().map(Some);
        }
        ahead.skip()?;
    }
    Ok(None)
}

impl<'a> Members<'a> {
    fn member(
        &mut self,
        chat: &mut Chat<'a>,
        cursor: &mut Cursor<'a>,
        (name, kind): (&str, Kind),
        path: &dyn Fn() -> String,
    ) -> Result<(), BadRequest> {
        let at = |member: &str| format!("{}.{member}", path());
        match (name, kind) {
            (_, Kind::Null) | ("type", _) => {
                cursor.skip()?;
            }
            ("text" | "thinking", _) => self.text = Some(string(cursor, kind, at(name))?),
            ("citations", Kind::Array) => self.citations = some_of(cursor.raw()?),
            ("citations", Kind::Object) => self.cited = cursor.raw()?.contains("true"),
            ("source", Kind::Object) => self.source = Some(source(cursor, &|| at("source"))?),
            ("title", Kind::String) => self.title = Some(cursor.text()?),
            ("context", Kind::String) => self.context = Some(cursor.text()?),
            ("id" | "tool_use_id", _) => self.id = Some(string(cursor, kind, at(name))?),
            ("name", _) => self.name = Some(string(cursor, kind, at(name))?),
            ("input", Kind::Object) => self.input = Some(cursor.raw()?),
            ("input", _) => return Err(wrong(at(name), "an object", kind)),
            ("content", _) if self.word.as_deref() == Some("tool_result") => {
                self.content = Some(blocks(chat, cursor, kind, &|| at("content"))?);
            }
            ("is_error", _) => self.is_error = boolean(cursor, kind, "messages[].content[].is_error")?,
            ("signature", Kind::String) => {
                self.signature = Some(cursor.text()?).filter(|text| !text.is_empty());
            }
            ("data", Kind::String) => self.data = Some(cursor.text()?),
            ("cache_control", Kind::Object) => self.cache = CacheMark::read(cursor)?,
            ("toolset_name", _) => {
                self.native = true;
                cursor.skip()?;
            }
            ("caller", Kind::Object) => self.native |= !cursor.raw()?.contains("\"direct\""),
            _ => {
                self.omitted = true;
                cursor.skip()?;
            }
        }
        Ok(())
    }

    fn into_part(self, raw: &dyn Fn() -> Raw<'a>, path: &dyn Fn() -> String) -> Result<Part<'a>, BadRequest> {
        let missing = |member: &str| BadRequest::Invalid {
            param: format!("{}.{member}", path()).into(),
            reason: "it is missing",
        };
        let cache = self.cache;
        Ok(match (self.word.as_deref(), self.source) {
            (Some("text"), _) => {
                let text = self.text.ok_or_else(|| missing("text"))?;
                Part::Text(TextPart { text, cache, citations: self.citations })
            }
            (Some("image"), Some(Some(source))) if !matches!(source, Source::Text(_)) => {
                Part::Image(ImagePart { source, detail: None, cache })
            }
            (Some("document"), Some(Some(source))) => {
                let (title, context) = (self.title, self.context);
                Part::Document(DocumentPart { source, title, context, citations: self.cited, cache })
            }
            (Some("image" | "document"), None) => return Err(missing("source")),
            (Some("tool_use"), _) if !self.native => Part::ToolUse(ToolUse {
                id: self.id.ok_or_else(|| missing("id"))?,
                name: self.name.ok_or_else(|| missing("name"))?,
                arguments: self.input.unwrap_or("{}").into(),
                cache,
            }),
            (Some("tool_result"), _) if !self.native => Part::ToolResult(ToolResult {
                id: self.id.ok_or_else(|| missing("tool_use_id"))?,
                parts: self.content.unwrap_or_default(),
                is_error: self.is_error,
                cache,
            }),
            (Some("thinking"), _) => Part::Thinking(ThinkingPart {
                text: self.text.unwrap_or_default(),
                signature: self.signature,
            }),
            (Some("redacted_thinking"), _) => {
                Part::RedactedThinking { data: self.data.ok_or_else(|| missing("data"))? }
            }
            (Some(kind), _) => Part::Other { kind: kind.to_owned().into(), raw: raw() },
            (None, _) => return Err(missing("type")),
        })
    }
}

/// `None` for an empty array.
pub(super) fn some_of(array: &str) -> Option<Raw<'_>> {
    let empty = array.bytes().all(|byte| b"[] \t\r\n".contains(&byte));
    (!empty).then(|| Raw::new(array))
}
