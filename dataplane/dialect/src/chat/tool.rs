//! Tools that the model may call.

use super::{CacheMark, Raw};
use std::borrow::Cow;

/// A tool.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Tool<'a> {
    /// One that the caller runs.
    Function(FunctionTool<'a>),
    /// One that only the origin knows: run by the vendor, or with a schema that the vendor keeps to itself. Other
    /// dialects refuse it.
    Native(NativeTool<'a>),
}

impl Tool<'_> {
    /// Bytes of what it puts into the prompt.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Function(tool) => {
                let described = tool.description.as_ref().map_or(0, |text| text.len());
                tool.name.len() + described + tool.schema.as_ref().map_or(0, |schema| schema.as_str().len())
            }
            Self::Native(tool) => tool.raw.as_str().len(),
        }
    }
}

/// A tool that the caller runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FunctionTool<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// What it does.
    pub description: Option<Cow<'a, str>>,
    /// JSON Schema of its arguments, an object; `None` is no arguments.
    pub schema: Option<Raw<'a>>,
    /// Arguments must keep to the schema.
    pub strict: Option<bool>,
    /// The prefix up to here is to be cached.
    pub cache: Option<CacheMark>,
}

/// A tool that only the origin knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NativeTool<'a> {
    /// Its `type`.
    pub kind: Cow<'a, str>,
    /// All of it, an object.
    pub raw: Raw<'a>,
}

/// Whether the model must call a tool.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ToolChoice<'a> {
    /// As it finds right.
    Auto,
    /// It must not.
    None,
    /// It must call one or more.
    Required,
    /// It must call this one.
    Named(Cow<'a, str>),
    /// It may (or must) call these only (OpenAI's `allowed_tools`).
    Allowed {
        /// It must.
        required: bool,
        /// These.
        names: Vec<Cow<'a, str>>,
    },
}
