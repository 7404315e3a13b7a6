//! Tools, and whether to call them.

use super::request::Writer;
use super::schema::push_parameters;
use crate::chat::{Aspect, Chat, Format, FunctionTool, Part, Tool, ToolChoice};
use crate::json::{List, Object};
use crate::openai::BadRequest;
use std::borrow::Cow;
use std::collections::HashSet;

/// Longest name of a tool that every Claude takes (case 25).
pub(super) const LONGEST_NAME: usize = 64;

/// Name of the tool that stands for the answer's form (case 89).
const ANSWER: &str = "json_answer";

const ABOUT: &str = "Gives the answer. Call it once, with the answer as its arguments, in place of any text.";

/// What the model may do with the tools.
#[derive(Clone, PartialEq, Eq)]
enum Choice<'c> {
    Auto,
    Any,
    None,
    Tool(Cow<'c, str>),
}

impl Writer<'_> {
    /// `tools` and `tool_choice`.
    pub(super) fn tools(&mut self, object: &mut Object<'_>, chat: &Chat<'_>) -> Result<(), BadRequest> {
        let answer = self.answer_tool(chat);
        let offered = offered(chat);
        // A history with calls demands tools, though none may be called (case 24).
        let past = if chat.tools.is_empty() && !self.own { called(chat) } else { Vec::new() };
        if offered.is_empty() && past.is_empty() && answer.is_none() {
            return match &chat.tool_choice {
                Some(ToolChoice::Required | ToolChoice::Named(_)) => Err(BadRequest::Invalid {
                    param: "tool_choice".into(),
                    reason: "it demands a call of a tool, and there are no 'tools'",
                }),
                _ => Ok(()),
            };
        }
        let mut list = List::open(object.name("tools"));
        for tool in &offered {
            match tool {
                Tool::Function(tool) => self.function(list.item(), tool)?,
                Tool::Native(tool) if self.own => {
                    list.item().extend_from_slice(tool.raw.as_str().as_bytes());
                }
                Tool::Native(_) => return Err(native()),
            }
        }
        for name in &past {
            let name = name.clone();
            let tool = FunctionTool { name, description: None, schema: None, strict: None, cache: None };
            self.function(list.item(), &tool)?;
        }
        if let Some((name, format)) = &answer {
            push_answer_tool(list.item(), name, format);
        }
        list.close();
        let choice = self.choice(chat, answer.is_some(), offered.is_empty())?;
        self.push_choice(object, chat, choice);
        Ok(())
    }

    /// The tool that makes the model keep to a form which it does not keep to by itself.
    fn answer_tool<'c>(&mut self, chat: &'c Chat<'c>) -> Option<(Box<str>, &'c Format<'c>)> {
        let format = chat.format.as_ref()?;
        let needed = match format {
            Format::Text => false,
            Format::JsonObject => true,
            Format::JsonSchema { schema, .. } => !self.facts.structured_output || schema.is_none(),
        };
        if !needed || self.own {
            return None;
        }
        let mut name = ANSWER.to_owned();
        while chat.tools.iter().any(|tool| matches!(tool, Tool::Function(tool) if tool.name == name)) {
            name.push('_');
        }
        self.memory.json_tool = Some(name.as_str().into());
        Some((name.into(), format))
    }

    fn choice<'c>(
        &mut self,
        chat: &'c Chat<'c>,
        answers: bool,
        nothing_offered: bool,
    ) -> Result<Option<Choice<'c>>, BadRequest> {
        let wanted = match &chat.tool_choice {
            Some(ToolChoice::Auto) => Some(Choice::Auto),
            Some(ToolChoice::None) => Some(Choice::None),
            Some(ToolChoice::Required | ToolChoice::Allowed { required: true, .. }) => Some(Choice::Any),
            Some(ToolChoice::Allowed { required: false, .. }) => Some(Choice::Auto),
            Some(ToolChoice::Named(name)) => Some(Choice::Tool(Cow::Borrowed(name))),
            None => None,
        };
        let choice = match wanted {
            // The answer itself is one of the tools: one must be called.
            Some(Choice::None | Choice::Auto | Choice::Any) | None if answers => {
                let only = nothing_offered || wanted == Some(Choice::None);
                let name = self.memory.json_tool.as_deref().unwrap_or(ANSWER).to_owned();
                Some(if only { Choice::Tool(name.into()) } else { Choice::Any })
            }
            _ if nothing_offered => Some(Choice::None),
            other => other,
        };
        let forced = matches!(choice, Some(Choice::Any | Choice::Tool(_)));
        // Anthropic refuses to force a model that thinks, and some models at all (case 18).
        if forced && (self.thinks || self.facts.free_tools) && !self.own {
            self.losses.lose(if answers { Aspect::Format } else { Aspect::ToolChoice })?;
            return Ok(Some(Choice::Auto));
        }
        Ok(choice)
    }

    fn push_choice(&mut self, object: &mut Object<'_>, chat: &Chat<'_>, choice: Option<Choice<'_>>) {
        let parallel = chat.parallel_tools;
        let choice = match (choice, parallel) {
            (None, Some(false)) => Choice::Auto,
            (None, _) => return,
            (Some(choice), _) => choice,
        };
        let mut inner = Object::open(object.name("tool_choice"));
        match &choice {
            Choice::Auto => inner.string("type", "auto"),
            Choice::Any => inner.string("type", "any"),
            Choice::None => inner.string("type", "none"),
            Choice::Tool(name) => {
                inner.string("type", "tool");
                inner.string("name", &self.memory.tool_name(name, LONGEST_NAME));
            }
        }
        if let Some(parallel) = parallel.filter(|parallel| choice != Choice::None && (!*parallel || self.own))
        {
            inner.boolean("disable_parallel_tool_use", !parallel);
        }
        inner.close();
    }

    fn function(&mut self, out: &mut Vec<u8>, tool: &FunctionTool<'_>) -> Result<(), BadRequest> {
        let mut object = Object::open(out);
        object.string("name", &self.memory.tool_name(&tool.name, LONGEST_NAME));
        if let Some(description) = &tool.description {
            object.string("description", description);
        }
        match &tool.schema {
            Some(schema) if self.own => object.raw("input_schema", schema.as_str()),
            Some(schema) => push_parameters(object.name("input_schema"), schema.as_str()),
            None => object.raw("input_schema", r#"{"type":"object","properties":{}}"#),
        }
        match tool.strict {
            Some(true) if !self.own && !self.facts.structured_output => self.losses.lose(Aspect::Strict)?,
            Some(strict) if strict || self.own => object.boolean("strict", strict),
            _ => {}
        }
        self.mark(&mut object, tool.cache)?;
        object.close();
        Ok(())
    }
}

/// The tools that may be called: those that OpenAI's `allowed_tools` names, where it names some.
fn offered<'c>(chat: &'c Chat<'c>) -> Vec<&'c Tool<'c>> {
    let named: Option<HashSet<&str>> = match &chat.tool_choice {
        Some(ToolChoice::Allowed { names, .. }) => Some(names.iter().map(AsRef::as_ref).collect()),
        _ => None,
    };
    let allowed = |tool: &&Tool<'_>| match (&named, tool) {
        (Some(names), Tool::Function(tool)) => names.contains(tool.name.as_ref()),
        (Some(_), Tool::Native(_)) => false,
        (None, _) => true,
    };
    chat.tools.iter().filter(allowed).collect()
}

/// Names of the tools that were called earlier, each once, in order (case 38).
fn called<'c>(chat: &'c Chat<'c>) -> Vec<Cow<'c, str>> {
    let mut seen = HashSet::new();
    let calls = chat.turns.iter().flat_map(|turn| &turn.parts).filter_map(|part| match part {
        Part::ToolUse(call) => Some(call.name.as_ref()),
        _ => None,
    });
    calls.filter(|name| seen.insert(*name)).map(Cow::Borrowed).collect()
}

fn push_answer_tool(out: &mut Vec<u8>, name: &str, format: &Format<'_>) {
    let mut object = Object::open(out);
    object.string("name", name);
    match format {
        Format::JsonSchema { description: Some(description), .. } => {
            object.string("description", &format!("{ABOUT} {description}"));
        }
        _ => object.string("description", ABOUT),
    }
    match format {
        Format::JsonSchema { schema: Some(schema), .. } => {
            push_parameters(object.name("input_schema"), schema.as_str());
        }
        _ => object.raw("input_schema", r#"{"type":"object","additionalProperties":true}"#),
    }
    object.close();
}

fn native() -> BadRequest {
    BadRequest::Untranslatable {
        param: "tools".into(),
        reason: "one of the tools is defined or run by another provider; declare it as a function instead",
    }
}
