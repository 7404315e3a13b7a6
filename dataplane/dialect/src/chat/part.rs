//! Parts of a message.

use super::{CacheMark, Raw};
use std::borrow::Cow;

/// One part of what somebody says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Part<'a> {
    /// Text.
    Text(TextPart<'a>),
    /// An image.
    Image(ImagePart<'a>),
    /// A PDF or another document.
    Document(DocumentPart<'a>),
    /// Sound.
    Audio(AudioPart<'a>),
    /// The model calls a tool.
    ToolUse(ToolUse<'a>),
    /// What the tool gave.
    ToolResult(ToolResult<'a>),
    /// What the model thought.
    Thinking(ThinkingPart<'a>),
    /// What it thought, encrypted; opaque.
    RedactedThinking {
        /// The vendor's data.
        data: Cow<'a, str>,
    },
    /// The model says that it will not answer.
    Refusal(Cow<'a, str>),
    /// Something that only the origin knows (server tool calls and their results, search results, …).
    Other {
        /// Its `type`.
        kind: Cow<'a, str>,
        /// All of it, an object.
        raw: Raw<'a>,
    },
}

impl<'a> Part<'a> {
    /// Plain text.
    #[must_use]
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(TextPart { text: text.into(), cache: None, citations: None })
    }
}

/// Text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TextPart<'a> {
    /// The text; never empty in normal form.
    pub text: Cow<'a, str>,
    /// The prefix up to here is to be cached.
    pub cache: Option<CacheMark>,
    /// Where the model has it from, in the origin's words (Anthropic's `citations`, OpenAI's `annotations`): an array.
    pub citations: Option<Raw<'a>>,
}

/// Where media come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source<'a> {
    /// An address.
    Url(Cow<'a, str>),
    /// Inline.
    Base64 {
        /// Such as `image/png`.
        media_type: Cow<'a, str>,
        /// The bytes, in base64.
        data: Cow<'a, str>,
    },
    /// A file that was given to the vendor earlier.
    File(Cow<'a, str>),
    /// A document that is plain text.
    Text(Cow<'a, str>),
}

/// An image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImagePart<'a> {
    /// Where it comes from; never [`Source::Text`].
    pub source: Source<'a>,
    /// OpenAI's `detail`.
    pub detail: Option<Cow<'a, str>>,
    /// The prefix up to here is to be cached.
    pub cache: Option<CacheMark>,
}

/// A document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DocumentPart<'a> {
    /// Where it comes from.
    pub source: Source<'a>,
    /// Its title, or file name.
    pub title: Option<Cow<'a, str>>,
    /// What it is about, for the model.
    pub context: Option<Cow<'a, str>>,
    /// The model is to say where in it something stands.
    pub citations: bool,
    /// The prefix up to here is to be cached.
    pub cache: Option<CacheMark>,
}

/// Sound.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AudioPart<'a> {
    /// Such as `wav`.
    pub format: Cow<'a, str>,
    /// In base64.
    pub data: Cow<'a, str>,
}

/// A call of a tool.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ToolUse<'a> {
    /// The call's id.
    pub id: Cow<'a, str>,
    /// The tool.
    pub name: Cow<'a, str>,
    /// In a request the text of a JSON object, `{}` when there are none. In an answer it is whatever the model wrote:
    /// one that was cut at its cap has half an object (case 30).
    pub arguments: Cow<'a, str>,
    /// The prefix up to here is to be cached.
    pub cache: Option<CacheMark>,
}

/// What a tool gave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ToolResult<'a> {
    /// The call's id.
    pub id: Cow<'a, str>,
    /// Texts, images, documents; may be empty.
    pub parts: Vec<Part<'a>>,
    /// The tool failed.
    pub is_error: bool,
    /// The prefix up to here is to be cached.
    pub cache: Option<CacheMark>,
}

/// What the model thought.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ThinkingPart<'a> {
    /// In its words; may be empty when the vendor shows only the signature.
    pub text: Cow<'a, str>,
    /// By which the vendor knows it again; without one it is not to be replayed to Anthropic (case 65).
    pub signature: Option<Cow<'a, str>>,
}
