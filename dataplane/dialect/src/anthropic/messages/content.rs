//! Messages, system prompts and content blocks: counted, not kept.
//!
//! Whatever is written in a message may be in the prompt: strings count at their length, anything nested as it stands.
//! Fields that are there twice count twice, so it does not matter which one the vendor believes.

use super::scan::Scan;
use crate::Feature;
use crate::json::{Cursor, Cuts, Kind, Span};
use crate::openai::BadRequest;
use crate::openai::field::{cache_control, wrong};

/// Documents that are to be cited are cut into sentences, each of which is marked: a token or two beside a few bytes.
const CITED: u64 = 3;

/// Reads `messages`.
pub(super) fn messages(scan: &mut Scan, cursor: &mut Cursor<'_>) -> Result<(), BadRequest> {
    let kind = cursor.peek()?;
    if kind != Kind::Array {
        return Err(wrong("messages", "an array of objects", kind));
    }
    cursor.enter()?;
    let mut first = true;
    let mut cuts = Cuts::default();
    while cursor.element(&mut first)? {
        let kind = cursor.peek()?;
        if kind != Kind::Object {
            return Err(wrong(format!("messages[{}]", scan.counts.messages), "an object", kind));
        }
        let start = cursor.at();
        let emptied = message(scan, cursor)?;
        cuts.item(Span { start, end: cursor.at() }, emptied, &mut scan.unsigned);
        scan.counts.messages += 1;
    }
    if scan.counts.messages == 0 {
        return Err(BadRequest::Empty { param: "messages" });
    }
    Ok(())
}

/// True when nothing would be left of the message without the thinking that nobody signed.
fn message(scan: &mut Scan, cursor: &mut Cursor<'_>) -> Result<bool, BadRequest> {
    cursor.enter()?;
    let mut first = true;
    let (mut emptied, mut contents) = (false, 0);
    while let Some(key) = cursor.key(&mut first)? {
        let kind = cursor.peek()?;
        contents += u32::from(key.text.is(cursor.bytes(), "content"));
        if contents > 1 {
            return Err(BadRequest::Duplicate { param: "messages[].content" });
        }
        if kind == Kind::String {
            scan.bytes.text += cursor.string()?.len as u64;
            continue;
        }
        let name = key.text.get(cursor.bytes());
        let at = |field: &str| format!("messages[{}].{field}", scan.counts.messages);
        match name.as_ref() {
            "content" if kind == Kind::Array => emptied = said(scan, cursor)?,
            "content" => return Err(wrong(at("content"), "a string or an array of objects", kind)),
            "role" => return Err(wrong(at("role"), "a string", kind)),
            _ => scan.bytes.text += cursor.skip()?.len() as u64,
        }
    }
    Ok(emptied)
}

/// Reads `system`: a text, or blocks.
pub(super) fn system(scan: &mut Scan, cursor: &mut Cursor<'_>, kind: Kind) -> Result<(), BadRequest> {
    match kind {
        Kind::String => scan.bytes.text += cursor.string()?.len as u64,
        Kind::Array => blocks(scan, cursor)?,
        _ => return Err(wrong("system", "a string or an array of objects", kind)),
    }
    Ok(())
}

/// The blocks of a message; true when all of them are thinking that nobody signed.
fn said(scan: &mut Scan, cursor: &mut Cursor<'_>) -> Result<bool, BadRequest> {
    cursor.enter()?;
    let mut first = true;
    let mut cuts = Cuts::default();
    while cursor.element(&mut first)? {
        cursor.peek()?;
        let start = cursor.at();
        let Foreign { unsigned, cited } = one(scan, cursor)?;
        cuts.item(Span { start, end: cursor.at() }, unsigned, &mut scan.unsigned);
        scan.uncited.extend(cited.filter(|_| !unsigned));
    }
    Ok(cuts.all())
}

/// An array of blocks elsewhere.
fn blocks(scan: &mut Scan, cursor: &mut Cursor<'_>) -> Result<(), BadRequest> {
    cursor.enter()?;
    let mut first = true;
    while cursor.element(&mut first)? {
        one(scan, cursor)?;
    }
    Ok(())
}

/// What in a block of the history Anthropic would refuse, because another vendor's model said it.
#[derive(Default)]
struct Foreign {
    /// It is thinking that nobody signed.
    unsigned: bool,
    /// The value of its `citations`, of which one has no mark of Anthropic's.
    cited: Option<Span>,
}

fn one(scan: &mut Scan, cursor: &mut Cursor<'_>) -> Result<Foreign, BadRequest> {
    scan.counts.parts += 1;
    match cursor.peek()? {
        Kind::Object => block(scan, cursor),
        Kind::String => {
            scan.bytes.text += cursor.string()?.len as u64;
            Ok(Foreign::default())
        }
        kind => {
            let path = format!("messages[{}].content", scan.counts.messages);
            Err(wrong(path, "an array of objects", kind))
        }
    }
}

/// What a source holds that is not text.
#[derive(Default)]
struct Media {
    /// It has a source that is no text.
    opaque: bool,
    /// Bytes of a source that is text.
    text: u64,
}

fn block(scan: &mut Scan, cursor: &mut Cursor<'_>) -> Result<Foreign, BadRequest> {
    cursor.enter()?;
    let mut media = Media::default();
    let (mut image, mut other, mut cited) = (false, false, false);
    let (mut thinking, mut signed, mut uncited) = (false, false, None);
    let mut first = true;
    while let Some(key) = cursor.key(&mut first)? {
        let kind = cursor.peek()?;
        match (key.text.get(cursor.bytes()).as_ref(), kind) {
            ("type", Kind::String) => {
                let read = cursor.string()?;
                scan.bytes.text += read.len as u64;
                let is_image = read.text.is(cursor.bytes(), "image");
                image |= is_image;
                other |= !is_image;
                thinking |= read.text.is(cursor.bytes(), "thinking");
            }
            ("signature", Kind::String) => {
                let signature = cursor.string()?.len as u64;
                scan.bytes.text += signature;
                signed |= signature > 0;
            }
            ("source", Kind::Object) => source(scan, cursor, &mut media)?,
            ("file_id", _) => {
                media.opaque = true;
                cursor.skip()?;
            }
            ("content", Kind::Array) => blocks(scan, cursor)?,
            ("content", Kind::Object) => {
                block(scan, cursor)?;
            }
            ("cache_control", _) => cache_control(&mut scan.features, cursor)?,
            ("citations", Kind::Object) => {
                cited = true;
                cursor.skip()?;
            }
            ("citations", Kind::Array) => {
                let span = cursor.skip()?;
                scan.bytes.text += span.len() as u64;
                uncited = uncited.or(is_unmarked(span.of(cursor.bytes())).then_some(span));
            }
            ("text", kind) if kind != Kind::String && kind != Kind::Null => {
                let path = format!("messages[{}].content.text", scan.counts.messages);
                return Err(wrong(path, "a string", kind));
            }
            (_, Kind::String) => scan.bytes.text += cursor.string()?.len as u64,
            _ => scan.bytes.text += cursor.skip()?.len() as u64,
        }
    }
    scan.bytes.text += media.text * if cited { CITED } else { 1 };
    if media.opaque {
        scan.counts.images += u32::from(image);
        // What is no image, or says that it is two things, is a document.
        if other || !image {
            scan.counts.files += 1;
            scan.features.insert(Feature::FileInput);
        }
    }
    Ok(Foreign { unsigned: thinking && !signed, cited: uncited })
}

/// True for citations that this gateway wrote in Anthropic's words: they have an empty mark.
fn is_unmarked(citations: &[u8]) -> bool {
    const EMPTY: &[u8] = b"\"encrypted_index\":\"\"";
    let spaced = citations.iter().copied().filter(|b| !b.is_ascii_whitespace());
    let tight: Vec<u8> = spaced.collect();
    tight.windows(EMPTY.len()).any(|window| window == EMPTY)
}

/// `source` of an image or document: text and nested blocks are counted as such, anything else is opaque.
fn source(scan: &mut Scan, cursor: &mut Cursor<'_>, media: &mut Media) -> Result<(), BadRequest> {
    cursor.enter()?;
    let (mut text, mut opaque) = (0, false);
    let mut first = true;
    while let Some(key) = cursor.key(&mut first)? {
        let kind = cursor.peek()?;
        match (key.text.get(cursor.bytes()).as_ref(), kind) {
            ("type", Kind::String) => {
                let read = cursor.string()?.text;
                opaque |= !read.is(cursor.bytes(), "text") && !read.is(cursor.bytes(), "content");
            }
            ("content", Kind::Array) => blocks(scan, cursor)?,
            (_, Kind::String) => text += cursor.string()?.len as u64,
            _ => text += cursor.skip()?.len() as u64,
        }
    }
    if opaque {
        media.opaque = true;
    } else {
        media.text += text;
    }
    Ok(())
}
