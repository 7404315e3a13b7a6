//! Tools, and whether to call them.

use super::super::BadRequest;
use super::super::field::{boolean, wrong};
use super::request::string;
use crate::chat::{CacheMark, Chat, Extra, FunctionTool, NativeTool, Raw, Tool, ToolChoice};
use crate::json::{Cursor, Kind};
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
        chat.tools.push(tool(cursor, index)?);
        Ok(())
    })
}

fn tool<'a>(cursor: &mut Cursor<'a>, index: usize) -> Result<Tool<'a>, BadRequest> {
    let start = cursor.at();
    let (mut word, mut described, mut cache) = (None, None, None);
    cursor.members(|cursor, name, kind| {
        match (name, kind) {
            ("type", Kind::String) => word = Some(cursor.text()?),
            ("function", Kind::Object) => {
                described = Some(function(cursor, || format!("tools[{index}].function"))?)
            }
            ("cache_control", Kind::Object) => cache = CacheMark::read(cursor)?,
            _ => {
                cursor.skip()?;
            }
        }
        Ok::<_, BadRequest>(())
    })?;
    match (word, described) {
        (None, Some(function)) => Ok(Tool::Function(FunctionTool { cache, ..function })),
        (Some(word), Some(function)) if word == "function" => {
            Ok(Tool::Function(FunctionTool { cache, ..function }))
        }
        (Some(kind), _) if kind != "function" => {
            let raw = cursor.bytes().get(start..cursor.at()).unwrap_or_default();
            Ok(Tool::Native(NativeTool { kind, raw: Raw(String::from_utf8_lossy(raw)) }))
        }
        _ => Err(BadRequest::Invalid {
            param: format!("tools[{index}]").into(),
            reason: "expected an object with 'type' and 'function'",
        }),
    }
}

/// `{name, description, parameters, strict}`.
fn function<'a>(cursor: &mut Cursor<'a>, path: impl Fn() -> String) -> Result<FunctionTool<'a>, BadRequest> {
    let mut tool =
        FunctionTool { name: Cow::Borrowed(""), description: None, schema: None, strict: None, cache: None };
    cursor.members(|cursor, name, kind| {
        match (name, kind) {
            (_, Kind::Null) => {
                cursor.skip()?;
            }
            ("name", _) => tool.name = string(cursor, kind, path() + ".name")?,
            ("description", _) => tool.description = Some(string(cursor, kind, path() + ".description")?),
            ("parameters", Kind::Object) => tool.schema = Some(Raw::new(cursor.raw()?)),
            ("parameters", _) => return Err(wrong(path() + ".parameters", "an object", kind)),
            ("strict", _) => tool.strict = Some(boolean(cursor, kind, "tools[].function.strict")?),
            _ => {
                cursor.skip()?;
            }
        }
        Ok(())
    })?;
    if tool.name.is_empty() {
        return Err(BadRequest::Invalid { param: (path() + ".name").into(), reason: "it is missing" });
    }
    Ok(tool)
}

/// `functions`, what `tools` was before (case 32).
pub(super) fn functions<'a>(
    chat: &mut Chat<'a>,
    cursor: &mut Cursor<'a>,
    kind: Kind,
) -> Result<(), BadRequest> {
    if kind != Kind::Array {
        return Err(wrong("functions", "an array of objects", kind));
    }
    cursor.elements(|cursor, index, kind| {
        if kind != Kind::Object {
            return Err(wrong(format!("functions[{index}]"), "an object", kind));
        }
        let tool = function(cursor, || format!("functions[{index}]"))?;
        chat.tools.push(Tool::Function(tool));
        Ok(())
    })
}

/// `tool_choice`. A choice of a tool that is no function is kept as a field that only OpenAI knows.
pub(super) fn choice<'a>(
    chat: &mut Chat<'a>,
    cursor: &mut Cursor<'a>,
    kind: Kind,
) -> Result<Option<ToolChoice<'a>>, BadRequest> {
    if kind == Kind::String {
        return word(&cursor.text()?, "tool_choice").map(Some);
    }
    if kind != Kind::Object {
        return Err(wrong("tool_choice", "a string or an object", kind));
    }
    let start = cursor.at();
    let (mut named, mut allowed) = (None, None);
    cursor.members(|cursor, name, kind| {
        match (name, kind) {
            ("function", Kind::Object) => named = name_of(cursor)?,
            ("allowed_tools", Kind::Object) => allowed = Some(allowed_tools(cursor)?),
            _ => {
                cursor.skip()?;
            }
        }
        Ok::<_, BadRequest>(())
    })?;
    if let Some(choice) = allowed.or(named.map(ToolChoice::Named)) {
        return Ok(Some(choice));
    }
    let raw = cursor.bytes().get(start..cursor.at()).unwrap_or_default();
    let value = Raw(String::from_utf8_lossy(raw));
    chat.extra.push(Extra { name: "tool_choice".into(), value, essential: true });
    Ok(None)
}

fn word(word: &str, param: &'static str) -> Result<ToolChoice<'static>, BadRequest> {
    match word {
        "auto" => Ok(ToolChoice::Auto),
        "none" => Ok(ToolChoice::None),
        "required" => Ok(ToolChoice::Required),
        _ => Err(BadRequest::Invalid {
            param: param.into(),
            reason: "expected 'none', 'auto', 'required' or an object that names a tool",
        }),
    }
}

fn name_of<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Cow<'a, str>>, BadRequest> {
    let mut found = None;
    cursor.members(|cursor, name, kind| {
        if name == "name" && kind == Kind::String {
            found = Some(cursor.text()?);
        } else {
            cursor.skip()?;
        }
        Ok::<_, BadRequest>(())
    })?;
    Ok(found)
}

/// `{mode, tools: [{type, function: {name}}]}`.
fn allowed_tools<'a>(cursor: &mut Cursor<'a>) -> Result<ToolChoice<'a>, BadRequest> {
    const PARAM: &str = "tool_choice.allowed_tools";
    let (mut required, mut names) = (false, Vec::new());
    cursor.members(|cursor, name, kind| {
        match (name, kind) {
            ("mode", Kind::String) => required = cursor.text()? == "required",
            ("tools", Kind::Array) => cursor.elements(|cursor, index, kind| {
                if kind != Kind::Object {
                    return Err(wrong(format!("{PARAM}.tools[{index}]"), "an object", kind));
                }
                let mut found = None;
                cursor.members(|cursor, name, kind| {
                    if name == "function" && kind == Kind::Object {
                        found = name_of(cursor)?;
                    } else {
                        cursor.skip()?;
                    }
                    Ok::<_, BadRequest>(())
                })?;
                names.push(found.ok_or(BadRequest::Invalid {
                    param: format!("{PARAM}.tools[{index}]").into(),
                    reason: "only functions can be chosen, by their name",
                })?);
                Ok(())
            })?,
            _ => {
                cursor.skip()?;
            }
        }
        Ok::<_, BadRequest>(())
    })?;
    Ok(ToolChoice::Allowed { required, names })
}

/// `function_call`, what `tool_choice` was before.
pub(super) fn function_call<'a>(cursor: &mut Cursor<'a>, kind: Kind) -> Result<ToolChoice<'a>, BadRequest> {
    match kind {
        Kind::String => word(&cursor.text()?, "function_call"),
        Kind::Object => name_of(cursor)?
            .map(ToolChoice::Named)
            .ok_or(BadRequest::Invalid { param: "function_call.name".into(), reason: "it is missing" }),
        _ => Err(wrong("function_call", "a string or an object", kind)),
    }
}
