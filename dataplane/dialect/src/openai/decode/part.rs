//! Content: a string, or parts.

use super::super::BadRequest;
use super::super::field::wrong;
use super::request::string;
use crate::chat::{AudioPart, CacheMark, DocumentPart, ImagePart, Part, Raw, Source, TextPart};
use crate::json::{Cursor, Kind};
use std::borrow::Cow;

/// Reads the content of a message. Empty texts are left out (cases 2 and 3).
pub(super) fn content<'a>(
    cursor: &mut Cursor<'a>,
    kind: Kind,
    path: &dyn Fn() -> String,
) -> Result<Vec<Part<'a>>, BadRequest> {
    let mut parts = Vec::new();
    match kind {
        Kind::Null => {
            cursor.skip()?;
        }
        Kind::String => {
            let text = cursor.text()?;
            if !text.is_empty() {
                parts.push(Part::text(text));
            }
        }
        Kind::Array => cursor.elements(|cursor, index, kind| {
            let path = || format!("{}[{index}]", path());
            let part = match kind {
                Kind::Object => self::part(cursor, &path)?,
                // Not OpenAI's, but some vendors take it.
                Kind::String => Part::text(cursor.text()?),
                _ => return Err(wrong(path(), "an object", kind)),
            };
            if !matches!(&part, Part::Text(text) if text.text.is_empty()) {
                parts.push(part);
            }
            Ok(())
        })?,
        _ => return Err(wrong(path(), "a string or an array of objects", kind)),
    }
    Ok(parts)
}

/// What the members of a part say.
#[derive(Default)]
struct Members<'a> {
    word: Option<Cow<'a, str>>,
    text: Option<Cow<'a, str>>,
    refusal: Option<Cow<'a, str>>,
    image: Option<(Cow<'a, str>, Option<Cow<'a, str>>)>,
    audio: Option<AudioPart<'a>>,
    file: Option<File<'a>>,
    cache: Option<CacheMark>,
}

#[derive(Default)]
struct File<'a> {
    data: Option<Cow<'a, str>>,
    id: Option<Cow<'a, str>>,
    name: Option<Cow<'a, str>>,
}

fn part<'a>(cursor: &mut Cursor<'a>, path: &dyn Fn() -> String) -> Result<Part<'a>, BadRequest> {
    let start = cursor.at();
    let mut read = Members::default();
    cursor.members(|cursor, name, kind| read.member(cursor, name, kind, path))?;
    let Members { word, text, refusal, image, audio, file, cache } = read;
    let missing = |member: &str| BadRequest::Invalid {
        param: format!("{}.{member}", path()).into(),
        reason: "it is missing",
    };
    match word.as_deref() {
        Some("text" | "input_text" | "output_text") => {
            let text = text.ok_or_else(|| missing("text"))?;
            Ok(Part::Text(TextPart { text, cache, citations: None }))
        }
        Some("refusal") => Ok(Part::Refusal(refusal.ok_or_else(|| missing("refusal"))?)),
        Some("image_url") => {
            let (url, detail) = image.ok_or_else(|| missing("image_url"))?;
            let source = source(url, &|| path() + ".image_url.url")?;
            Ok(Part::Image(ImagePart { source, detail, cache }))
        }
        Some("input_audio") => Ok(Part::Audio(audio.ok_or_else(|| missing("input_audio"))?)),
        Some("file") => document(file.ok_or_else(|| missing("file"))?, cache, path),
        None => Err(missing("type")),
        Some(_) => {
            let raw = cursor.bytes().get(start..cursor.at()).unwrap_or_default();
            let kind = word.unwrap_or_default();
            Ok(Part::Other { kind, raw: Raw(String::from_utf8_lossy(raw)) })
        }
    }
}

impl<'a> Members<'a> {
    fn member(
        &mut self,
        cursor: &mut Cursor<'a>,
        name: &str,
        kind: Kind,
        path: &dyn Fn() -> String,
    ) -> Result<(), BadRequest> {
        let at = |member: &str| format!("{}.{member}", path());
        match (name, kind) {
            (_, Kind::Null) => {
                cursor.skip()?;
            }
            ("type", _) => self.word = Some(string(cursor, kind, at("type"))?),
            ("text", _) => self.text = Some(string(cursor, kind, at("text"))?),
            ("refusal", _) => self.refusal = Some(string(cursor, kind, at("refusal"))?),
            ("image_url", Kind::String) => self.image = Some((cursor.text()?, None)),
            ("image_url", Kind::Object) => self.image = image(cursor, &at)?,
            ("input_audio", Kind::Object) => self.audio = Some(audio(cursor, &at)?),
            ("file", Kind::Object) => self.file = Some(file(cursor, &at)?),
            ("cache_control" | "prompt_cache_breakpoint", Kind::Object) => {
                self.cache = CacheMark::read(cursor)?
            }
            _ => {
                cursor.skip()?;
            }
        }
        Ok(())
    }
}

type Image<'a> = (Cow<'a, str>, Option<Cow<'a, str>>);

fn image<'a>(cursor: &mut Cursor<'a>, at: &dyn Fn(&str) -> String) -> Result<Option<Image<'a>>, BadRequest> {
    let (mut url, mut detail) = (None, None);
    cursor.members(|cursor, name, kind| {
        match (name, kind) {
            ("url", _) => url = Some(string(cursor, kind, at("image_url.url"))?),
            ("detail", Kind::String) => detail = Some(cursor.text()?).filter(|detail| detail != "auto"),
            _ => {
                cursor.skip()?;
            }
        }
        Ok::<_, BadRequest>(())
    })?;
    Ok(url.map(|url| (url, detail)))
}

fn audio<'a>(cursor: &mut Cursor<'a>, at: &dyn Fn(&str) -> String) -> Result<AudioPart<'a>, BadRequest> {
    let mut audio = AudioPart { format: Cow::Borrowed("wav"), data: Cow::Borrowed("") };
    cursor.members(|cursor, name, kind| {
        match name {
            "format" => audio.format = string(cursor, kind, at("input_audio.format"))?,
            "data" => audio.data = string(cursor, kind, at("input_audio.data"))?,
            _ => {
                cursor.skip()?;
            }
        }
        Ok::<_, BadRequest>(())
    })?;
    Ok(audio)
}

fn file<'a>(cursor: &mut Cursor<'a>, at: &dyn Fn(&str) -> String) -> Result<File<'a>, BadRequest> {
    let mut file = File::default();
    cursor.members(|cursor, name, kind| {
        match (name, kind) {
            (_, Kind::Null) => {
                cursor.skip()?;
            }
            ("file_data", _) => file.data = Some(string(cursor, kind, at("file.file_data"))?),
            ("file_id", _) => file.id = Some(string(cursor, kind, at("file.file_id"))?),
            ("filename", _) => file.name = Some(string(cursor, kind, at("file.filename"))?),
            _ => {
                cursor.skip()?;
            }
        }
        Ok::<_, BadRequest>(())
    })?;
    Ok(file)
}

fn document<'a>(
    file: File<'a>,
    cache: Option<CacheMark>,
    path: &dyn Fn() -> String,
) -> Result<Part<'a>, BadRequest> {
    let source = match (file.data, file.id) {
        (Some(data), None) => inline(data, file.name.as_deref(), &|| path() + ".file.file_data")?,
        (None, Some(id)) => Source::File(id),
        _ => {
            return Err(BadRequest::Invalid {
                param: (path() + ".file").into(),
                reason: "expected either 'file_data' or 'file_id'",
            });
        }
    };
    Ok(Part::Document(DocumentPart { source, title: file.name, context: None, citations: false, cache }))
}

/// A data URL, as OpenAI has it; an address, as resellers take it; or the bare base64 of a PDF, as callers write it.
fn inline<'a>(
    data: Cow<'a, str>,
    name: Option<&str>,
    path: &dyn Fn() -> String,
) -> Result<Source<'a>, BadRequest> {
    let is = |scheme: &str| data.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    if is("data:") || is("http://") || is("https://") {
        return source(data, path);
    }
    if name.is_some_and(|name| !name.to_ascii_lowercase().ends_with(".pdf")) {
        return Err(BadRequest::Invalid {
            param: path().into(),
            reason: "expected a data URL of the form 'data:<media type>;base64,<data>'",
        });
    }
    Ok(Source::Base64 { media_type: Cow::Borrowed("application/pdf"), data })
}

/// An address, or `data:<media type>;base64,<data>`.
fn source<'a>(url: Cow<'a, str>, path: &dyn Fn() -> String) -> Result<Source<'a>, BadRequest> {
    let Some(inline) = url.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("data:")) else {
        return Ok(Source::Url(url));
    };
    let at = inline.len();
    let invalid = || BadRequest::Invalid {
        param: path().into(),
        reason: "expected a data URL of the form 'data:<media type>;base64,<data>'",
    };
    let comma = url.find(',').ok_or_else(invalid)?;
    let media_type = url[at..comma].strip_suffix(";base64").ok_or_else(invalid)?;
    // Parameters such as a charset mean nothing to vendors.
    let length = media_type.split(';').next().unwrap_or_default().len();
    if length == 0 {
        return Err(invalid());
    }
    Ok(match url {
        Cow::Borrowed(url) => Source::Base64 {
            media_type: Cow::Borrowed(&url[at..at + length]),
            data: Cow::Borrowed(&url[comma + 1..]),
        },
        Cow::Owned(url) => Source::Base64 {
            media_type: Cow::Owned(url[at..at + length].to_owned()),
            data: Cow::Owned(url[comma + 1..].to_owned()),
        },
    })
}
