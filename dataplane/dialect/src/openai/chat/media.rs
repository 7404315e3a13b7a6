//! Content parts, and what is not text among them.

use super::super::BadRequest;
use super::super::field::{cache_control, wrong};
use super::scan::Scan;
use crate::json::{Cursor, Kind};
use crate::{Feature, Features};

/// One content part. What it is follows from the members that it has, not from its `type`: the two may disagree,
/// and vendors differ in which one they believe.
pub(super) fn part(scan: &mut Scan, cursor: &mut Cursor<'_>) -> Result<(), BadRequest> {
    cursor.enter()?;
    let mut first = true;
    while let Some(key) = cursor.key(&mut first)? {
        let kind = cursor.peek()?;
        match key.text.get(cursor.bytes()).as_ref() {
            "image_url" => {
                scan.counts.images += 1;
                cursor.skip()?;
            }
            "input_audio" | "audio_url" => {
                scan.counts.audio += 1;
                scan.features.insert(Feature::AudioInput);
                cursor.skip()?;
            }
            "file" => {
                scan.counts.files += 1;
                scan.features.insert(Feature::FileInput);
                cursor.skip()?;
            }
            "video_url" => {
                scan.counts.videos += 1;
                scan.features.insert(Feature::VideoInput);
                cursor.skip()?;
            }
            "cache_control" => cache_control(&mut scan.features, cursor)?,
            "text" if kind != Kind::String && kind != Kind::Null => {
                let path = format!("messages[{}].content.text", scan.counts.messages);
                return Err(wrong(path, "a string", kind));
            }
            _ if kind == Kind::String => scan.bytes.text += cursor.string()?.len as u64,
            _ => scan.bytes.text += cursor.skip()?.len() as u64,
        }
    }
    Ok(())
}

/// `modalities`: `["text", "audio"]`.
pub(super) fn modalities(
    features: &mut Features,
    cursor: &mut Cursor<'_>,
    kind: Kind,
) -> Result<(), BadRequest> {
    if kind != Kind::Array {
        return Err(wrong("modalities", "an array of strings", kind));
    }
    cursor.enter()?;
    let mut first = true;
    while cursor.element(&mut first)? {
        let kind = cursor.peek()?;
        if kind != Kind::String {
            return Err(wrong("modalities", "an array of strings", kind));
        }
        match cursor.string()?.text.get(cursor.bytes()).as_ref() {
            "text" => {}
            "image" => features.insert(Feature::ImageOutput),
            _ => features.insert(Feature::AudioOutput),
        }
    }
    Ok(())
}
