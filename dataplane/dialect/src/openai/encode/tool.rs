//! Tools, and whether to call them.

use super::super::BadRequest;
use super::part::push_cache_mark;
use super::request::Writer;
use super::schema;
use crate::chat::{Aspect, Chat, FunctionTool, Tool, ToolChoice};
use crate::json::{List, Object, push_array};

/// Longest name of a tool that OpenAI takes (case 25).
pub(super) const LONGEST_NAME: usize = 64;

pub(super) fn push_tools(
    writer: &mut Writer<'_>,
    object: &mut Object<'_>,
    chat: &Chat<'_>,
) -> Result<(), BadRequest> {
    if !chat.tools.is_empty() {
        let mut list = List::open(object.name("tools"));
        for tool in &chat.tools {
            match tool {
                Tool::Function(tool) => writer.function(list.item(), tool)?,
                Tool::Native(tool) if writer.own => {
                    list.item().extend_from_slice(tool.raw.as_str().as_bytes());
                }
                Tool::Native(_) => return Err(native()),
            }
        }
        list.close();
        // Without tools OpenAI refuses the field.
        if let Some(parallel) = chat.parallel_tools {
            object.boolean("parallel_tool_calls", parallel);
        }
    }
    match &chat.tool_choice {
        // Without tools these say nothing, and OpenAI refuses the field.
        None => {}
        Some(ToolChoice::Auto | ToolChoice::None) if chat.tools.is_empty() => {}
        Some(choice) => writer.choice(object, choice),
    }
    Ok(())
}

fn native() -> BadRequest {
    BadRequest::Untranslatable {
        param: "tools".into(),
        reason: "one of the tools is defined or run by another provider; declare it as a function instead",
    }
}

impl Writer<'_> {
    fn function(&mut self, out: &mut Vec<u8>, tool: &FunctionTool<'_>) -> Result<(), BadRequest> {
        let strict = match (tool.strict, &tool.schema) {
            (Some(true), Some(schema)) if !self.own && !schema::enforceable(schema.as_str()) => {
                self.losses.lose(Aspect::Strict)?;
                None
            }
            (strict, _) => strict,
        };
        let mut object = Object::open(out);
        object.string("type", "function");
        let mut function = Object::open(object.name("function"));
        function.string("name", &self.memory.tool_name(&tool.name, LONGEST_NAME));
        if let Some(description) = &tool.description {
            function.string("description", description);
        }
        match &tool.schema {
            Some(schema) if self.own => function.raw("parameters", schema.as_str()),
            Some(schema) => schema::push_parameters(function.name("parameters"), schema.as_str()),
            None => {}
        }
        if let Some(strict) = strict {
            function.boolean("strict", strict);
        }
        function.close();
        push_cache_mark(self, &mut object, tool.cache)?;
        object.close();
        Ok(())
    }

    fn choice(&mut self, object: &mut Object<'_>, choice: &ToolChoice<'_>) {
        match choice {
            ToolChoice::Auto => object.string("tool_choice", "auto"),
            ToolChoice::None => object.string("tool_choice", "none"),
            ToolChoice::Required => object.string("tool_choice", "required"),
            ToolChoice::Named(name) => self.named(object.name("tool_choice"), name),
            ToolChoice::Allowed { required, names } => {
                let mut outer = Object::open(object.name("tool_choice"));
                outer.string("type", "allowed_tools");
                let mut inner = Object::open(outer.name("allowed_tools"));
                inner.string("mode", if *required { "required" } else { "auto" });
                push_array(inner.name("tools"), names, |out, name| self.named(out, name));
                inner.close();
                outer.close();
            }
        }
    }

    fn named(&mut self, out: &mut Vec<u8>, name: &str) {
        let mut object = Object::open(out);
        object.string("type", "function");
        let mut function = Object::open(object.name("function"));
        function.string("name", &self.memory.tool_name(name, LONGEST_NAME));
        function.close();
        object.close();
    }
}
