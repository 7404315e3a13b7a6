//! Tools, and whether to call them.

use super::request::string;
use crate::chat::{CacheMark, Chat, FunctionTool, NativeTool, Raw, Tool, ToolChoice};
use crate::json::{Cursor, Kind};
use crate::openai::BadRequest;
use crate::openai::field::{boolean, wrong};
use std::borrow::Cow;

/// `tools`.
pub(super) fn tools<'a>(chat: &mut Chat<'a>, cursor: &mut Cursor<'a>, kind: Kind) -> Result<(), BadRequest> {
    if kind != Kind::Array {
        return Err(wrong("tools", "an array of objects", kind));
    }
    cursor.elements(|cursor, index, kind| {
        if kind != Kind::Object {
            return Err(wrong(format!("tools[{index}]"), "an object", kind));
        }
        let tool = tool(chat, cursor, index)?;
        chat.tools.push(tool);
        Ok(())
    })
}

fn tool<'a>(chat: &mut Chat<'a>, cursor: &mut Cursor<'a>, index: usize) -> Result<Tool<'a>, BadRequest> {
    let start = cursor.at();
    let mut word = None;
    let mut tool =
        FunctionTool { name: Cow::Borrowed(""), description: None, schema: None, strict: None, cache: None };
    let at = |member: &str| format!("tools[{index}].{member}");
    let mut omitted = false;
    cursor.members(|cursor, name, kind| {
        match (name, kind) {
            (_, Kind::Null) => {
                cursor.skip()?;
            }
            ("type", _) => word = Some(string(cursor, kind, at(name))?),
            ("name", _) => tool.name = string(cursor, kind, at(name))?,
            ("description", Kind::String) => tool.description = Some(cursor.text()?),
            ("input_schema", Kind::Object) => tool.schema = Some(Raw::new(cursor.raw()?)),
            ("input_schema", _) => return Err(wrong(at(name), "an object", kind)),
            ("strict", _) => tool.strict = Some(boolean(cursor, kind, "tools[].strict")?),
            ("cache_control", Kind::Object) => tool.cache = CacheMark::read(cursor)?,
            _ => {
                cursor.skip()?;
                omitted = true;
            }
        }
        Ok(())
    })?;
    if let Some(kind) = word.filter(|word| word != "custom") {
        let raw = cursor.bytes().get(start..cursor.at()).unwrap_or_default();
        return Ok(Tool::Native(NativeTool { kind, raw: Raw(String::from_utf8_lossy(raw)) }));
    }
    if tool.name.is_empty() {
        return Err(BadRequest::Invalid { param: at("name").into(), reason: "it is missing" });
    }
    if omitted {
        chat.omit("tools[]");
    }
    Ok(Tool::Function(tool))
}

/// `tool_choice: {type, name, disable_parallel_tool_use}`.
pub(super) fn choice<'a>(chat: &mut Chat<'a>, cursor: &mut Cursor<'a>, kind: Kind) -> Result<(), BadRequest> {
    if kind != Kind::Object {
        return Err(wrong("tool_choice", "an object", kind));
    }
    let (mut word, mut named) = (None, None);
    cursor.members(|cursor, name, kind| {
        match name {
            "type" => word = Some(string(cursor, kind, "tool_choice.type")?),
            "name" => named = Some(string(cursor, kind, "tool_choice.name")?),
            "disable_parallel_tool_use" if kind != Kind::Null => {
                let disabled = boolean(cursor, kind, "tool_choice.disable_parallel_tool_use")?;
                chat.parallel_tools = Some(!disabled);
            }
            _ => {
                cursor.skip()?;
            }
        }
        Ok::<_, BadRequest>(())
    })?;
    chat.tool_choice = Some(match (word.as_deref(), named) {
        (Some("auto"), _) => ToolChoice::Auto,
        (Some("any"), _) => ToolChoice::Required,
        (Some("none"), _) => ToolChoice::None,
        (Some("tool"), Some(name)) => ToolChoice::Named(name),
        (Some("tool"), None) => return Err(BadRequest::Missing { param: "tool_choice.name" }),
        _ => {
            return Err(BadRequest::Invalid {
                param: "tool_choice.type".into(),
                reason: "expected one of 'auto', 'any', 'tool' and 'none'",
            });
        }
    });
    Ok(())
}
