//! Content blocks of a request.

use super::request::Writer;
use super::tool::LONGEST_NAME;
use crate::chat::{Aspect, DocumentPart, ImagePart, Part, Source, TextPart, ToolResult, ToolUse};
use crate::json::{List, Object};
use crate::openai::BadRequest;
use crate::translate::fitting;

/// Longest id of a call (case 26).
const LONGEST_ID: usize = 64;

const FILE: &str = "a file that was given to another provider cannot be read by this one; send it inline";

fn untranslatable(param: &'static str, reason: &'static str) -> BadRequest {
    BadRequest::Untranslatable { param: param.into(), reason }
}

impl Writer<'_> {
    /// A text block.
    pub(super) fn text(&mut self, out: &mut Vec<u8>, part: &TextPart<'_>) -> Result<(), BadRequest> {
        let mut object = Object::open(out);
        object.string("type", "text");
        object.string("text", &part.text);
        match &part.citations {
            Some(citations) if self.own => object.raw("citations", citations.as_str()),
            Some(_) => self.losses.lose(Aspect::Citations)?,
            None => {}
        }
        self.mark(&mut object, part.cache)?;
        object.close();
        Ok(())
    }

    pub(super) fn part(&mut self, out: &mut Vec<u8>, part: &Part<'_>) -> Result<(), BadRequest> {
        match part {
            Part::Text(part) => self.text(out, part),
            Part::Image(part) => self.image(out, part),
            Part::Document(part) => self.document(out, part),
            Part::ToolUse(part) => self.tool_use(out, part),
            Part::ToolResult(part) => self.tool_result(out, part),
            Part::Refusal(text) => {
                self.text(out, &TextPart { text: text.as_ref().into(), cache: None, citations: None })
            }
            Part::Thinking(part) => {
                let mut object = Object::open(out);
                object.string("type", "thinking");
                object.string("thinking", &part.text);
                object.string("signature", part.signature.as_deref().unwrap_or_default());
                object.close();
                Ok(())
            }
            Part::RedactedThinking { data } => {
                let mut object = Object::open(out);
                object.string("type", "redacted_thinking");
                object.string("data", data);
                object.close();
                Ok(())
            }
            Part::Audio(_) => Err(untranslatable(
                "messages[].content[].input_audio",
                "the provider takes no audio; send a transcript",
            )),
            Part::Other { raw, .. } if self.own => {
                out.extend_from_slice(raw.as_str().as_bytes());
                Ok(())
            }
            Part::Other { .. } => Err(untranslatable(
                "messages[].content[]",
                "one of the parts is of a type that only another provider knows; leave it out",
            )),
        }
    }

    fn image(&mut self, out: &mut Vec<u8>, part: &ImagePart<'_>) -> Result<(), BadRequest> {
        let mut object = Object::open(out);
        object.string("type", "image");
        let mut source = Object::open(object.name("source"));
        match &part.source {
            Source::Base64 { media_type, data } => {
                source.string("type", "base64");
                source.string("media_type", self.image_type(media_type)?);
                source.string("data", data);
            }
            other => self.source(&mut source, other)?,
        }
        source.close();
        if part.detail.is_some() {
            self.losses.lose(Aspect::ImageDetail)?;
        }
        self.mark(&mut object, part.cache)?;
        object.close();
        Ok(())
    }

    /// Anthropic takes four types of images (case 98).
    fn image_type<'t>(&self, media_type: &'t str) -> Result<&'t str, BadRequest> {
        match media_type {
            "image/jpeg" | "image/png" | "image/gif" | "image/webp" => Ok(media_type),
            "image/jpg" => Ok("image/jpeg"),
            other if self.own => Ok(other),
            _ => Err(BadRequest::Invalid {
                param: "messages[].content[].image_url.url".into(),
                reason: "the provider takes images of the types image/jpeg, image/png, image/gif and image/webp",
            }),
        }
    }

    fn document(&mut self, out: &mut Vec<u8>, part: &DocumentPart<'_>) -> Result<(), BadRequest> {
        let mut object = Object::open(out);
        object.string("type", "document");
        let mut source = Object::open(object.name("source"));
        match &part.source {
            Source::Base64 { media_type, data } => {
                if media_type != "application/pdf" && !self.own {
                    return Err(untranslatable(
                        "messages[].content[].file.file_data",
                        "the provider takes inline files of the type application/pdf only; send text as text",
                    ));
                }
                source.string("type", "base64");
                source.string("media_type", media_type);
                source.string("data", data);
            }
            other => self.source(&mut source, other)?,
        }
        source.close();
        if let Some(title) = &part.title {
            object.string("title", title);
        }
        if let Some(context) = &part.context {
            object.string("context", context);
        }
        if part.citations {
            object.raw("citations", r#"{"enabled":true}"#);
        }
        self.mark(&mut object, part.cache)?;
        object.close();
        Ok(())
    }

    fn source(&mut self, object: &mut Object<'_>, source: &Source<'_>) -> Result<(), BadRequest> {
        match source {
            Source::Base64 { media_type, data } => {
                object.string("type", "base64");
                object.string("media_type", media_type);
                object.string("data", data);
            }
            Source::Url(url) => {
                object.string("type", "url");
                object.string("url", url);
            }
            Source::File(id) if self.own => {
                object.string("type", "file");
                object.string("file_id", id);
            }
            Source::File(_) => return Err(untranslatable("messages[].content[].file.file_id", FILE)),
            Source::Text(text) => {
                object.string("type", "text");
                object.string("media_type", "text/plain");
                object.string("data", text);
            }
        }
        Ok(())
    }

    fn tool_use(&mut self, out: &mut Vec<u8>, part: &ToolUse<'_>) -> Result<(), BadRequest> {
        let mut object = Object::open(out);
        object.string("type", "tool_use");
        object.string("id", &fitting(&part.id, LONGEST_ID));
        object.string("name", &self.memory.tool_name(&part.name, LONGEST_NAME));
        object.raw("input", &part.arguments);
        self.mark(&mut object, part.cache)?;
        object.close();
        Ok(())
    }

    fn tool_result(&mut self, out: &mut Vec<u8>, part: &ToolResult<'_>) -> Result<(), BadRequest> {
        let mut object = Object::open(out);
        object.string("type", "tool_result");
        object.string("tool_use_id", &fitting(&part.id, LONGEST_ID));
        let some =
            |part: &&Part<'_>| self.own || !matches!(part, Part::Text(text) if text.text.trim().is_empty());
        let parts: Vec<_> = part.parts.iter().filter(some).collect();
        if !parts.is_empty() {
            let mut list = List::open(object.name("content"));
            for part in parts {
                self.part(list.item(), part)?;
            }
            list.close();
        }
        if part.is_error {
            object.boolean("is_error", true);
        }
        self.mark(&mut object, part.cache)?;
        object.close();
        Ok(())
    }
}
