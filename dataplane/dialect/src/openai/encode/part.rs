//! Content: a string where that says it all, else parts.

use super::super::BadRequest;
use super::request::Writer;
use crate::chat::{Aspect, CacheMark, DocumentPart, ImagePart, Part, Source, TextPart};
use crate::json::{List, Object, push_escaped, push_string};

const FILE: &str = "files that were given to one provider are unknown to the other; send the content itself";
const OTHER: &str = "it holds something that only another provider knows";

/// Appends what content those parts are.
pub(super) fn push_content<'p, 'a: 'p>(
    writer: &mut Writer<'_>,
    out: &mut Vec<u8>,
    parts: impl Iterator<Item = &'p Part<'a>> + Clone,
) -> Result<(), BadRequest> {
    let mut both = parts.clone();
    if let (Some(Part::Text(text)), None) = (both.next(), both.next())
        && (text.cache.is_none() || !(writer.own || writer.facts.extensions))
    {
        if text.cache.is_some() {
            writer.losses.lose(Aspect::CacheControl)?;
        }
        writer.lose_citations(text)?;
        push_string(out, &text.text);
        return Ok(());
    }
    let mut list = List::open(out);
    for part in parts {
        push_part(writer, list.item(), part)?;
    }
    list.close();
    Ok(())
}

fn push_part(writer: &mut Writer<'_>, out: &mut Vec<u8>, part: &Part<'_>) -> Result<(), BadRequest> {
    match part {
        Part::Text(text) => {
            writer.lose_citations(text)?;
            let mut object = Object::open(out);
            object.string("type", "text");
            object.string("text", &text.text);
            push_breakpoint(writer, &mut object, text.cache)?;
            object.close();
            Ok(())
        }
        Part::Image(image) => push_image(writer, out, image),
        Part::Document(document) => push_document(writer, out, document),
        Part::Audio(audio) => {
            let mut object = Object::open(out);
            object.string("type", "input_audio");
            let mut inner = Object::open(object.name("input_audio"));
            inner.string("format", &audio.format);
            inner.string("data", &audio.data);
            inner.close();
            object.close();
            Ok(())
        }
        Part::Other { raw, .. } if writer.own => {
            out.extend_from_slice(raw.as_str().as_bytes());
            Ok(())
        }
        _ => Err(untranslatable(OTHER)),
    }
}

pub(super) fn other() -> BadRequest {
    untranslatable(OTHER)
}

fn untranslatable(reason: &'static str) -> BadRequest {
    BadRequest::Untranslatable { param: "messages".into(), reason }
}

impl Writer<'_> {
    fn lose_citations(&mut self, text: &TextPart<'_>) -> Result<(), BadRequest> {
        if text.citations.is_some() { self.losses.lose(Aspect::Citations) } else { Ok(()) }
    }
}

/// Adds the mark to a part. OpenAI's own marks are for parts only.
fn push_breakpoint(
    writer: &mut Writer<'_>,
    object: &mut Object<'_>,
    mark: Option<CacheMark>,
) -> Result<(), BadRequest> {
    let Some(mark) = mark.filter(|_| writer.own && !writer.facts.extensions) else {
        return push_cache_mark(writer, object, mark);
    };
    push_mark(object.name("prompt_cache_breakpoint"), ("mode", "explicit"), mark);
    Ok(())
}

/// Adds the mark to a message, a tool or a call, in Anthropic's words.
pub(super) fn push_cache_mark(
    writer: &mut Writer<'_>,
    object: &mut Object<'_>,
    mark: Option<CacheMark>,
) -> Result<(), BadRequest> {
    let Some(mark) = mark else { return Ok(()) };
    if !writer.own && !writer.facts.extensions {
        return writer.losses.lose(Aspect::CacheControl);
    }
    push_mark(object.name("cache_control"), ("type", "ephemeral"), mark);
    Ok(())
}

fn push_mark(out: &mut Vec<u8>, (kind, word): (&'static str, &str), mark: CacheMark) {
    let mut inner = Object::open(out);
    inner.string(kind, word);
    if let Some(life) = mark.life {
        inner.string("ttl", life.as_str());
    }
    inner.close();
}

fn push_data_url(out: &mut Vec<u8>, media_type: &str, data: &str) {
    out.extend_from_slice(b"\"data:");
    push_escaped(out, media_type);
    out.extend_from_slice(b";base64,");
    push_escaped(out, data);
    out.push(b'"');
}

fn push_image(writer: &mut Writer<'_>, out: &mut Vec<u8>, image: &ImagePart<'_>) -> Result<(), BadRequest> {
    let mut object = Object::open(out);
    object.string("type", "image_url");
    let mut inner = Object::open(object.name("image_url"));
    match &image.source {
        Source::Url(url) => inner.string("url", url),
        Source::Base64 { media_type, data } => push_data_url(inner.name("url"), media_type, data),
        Source::File(_) | Source::Text(_) => return Err(untranslatable(FILE)),
    }
    if let Some(detail) = &image.detail {
        inner.string("detail", detail);
    }
    inner.close();
    push_breakpoint(writer, &mut object, image.cache)?;
    object.close();
    Ok(())
}

fn push_document(
    writer: &mut Writer<'_>,
    out: &mut Vec<u8>,
    document: &DocumentPart<'_>,
) -> Result<(), BadRequest> {
    if document.citations || (document.context.is_some() && !matches!(document.source, Source::Text(_))) {
        writer.losses.lose(Aspect::DocumentDetail)?;
    }
    let mut object = Object::open(out);
    match &document.source {
        Source::Base64 { media_type, data } => {
            object.string("type", "file");
            let mut file = Object::open(object.name("file"));
            match &document.title {
                Some(title) => file.string("filename", title),
                None if writer.own => {}
                None => file.string("filename", "document.pdf"),
            }
            push_data_url(file.name("file_data"), media_type, data);
            file.close();
        }
        Source::File(id) if writer.own => {
            object.string("type", "file");
            let mut file = Object::open(object.name("file"));
            file.string("file_id", id);
            if let Some(title) = &document.title {
                file.string("filename", title);
            }
            file.close();
        }
        // A document that is text reads as text, under its title.
        Source::Text(text) => {
            object.string("type", "text");
            let head = [&document.title, &document.context].into_iter().flatten();
            let lines: String = head.map(|line| format!("{line}\n")).collect();
            object.string("text", &format!("{lines}{text}"));
        }
        Source::File(_) => return Err(untranslatable(FILE)),
        Source::Url(_) => {
            return Err(untranslatable("documents by address are unknown to it; send the content itself"));
        }
    }
    push_breakpoint(writer, &mut object, document.cache)?;
    object.close();
    Ok(())
}
