//! Fields of a request: where they lie, and their values with types checked in OpenAI's words.

use super::BadRequest;
use crate::json::{Cursor, Kind, Span, Str, Text};
use crate::{Feature, Features};
use std::borrow::Cow;

/// Where a member of an object lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Member {
    /// Its key, quotes included.
    pub key: Span,
    /// Its value.
    pub value: Span,
}

/// A field of the request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field<T> {
    /// Its value; `None` when it is absent or null.
    pub value: Option<T>,
    /// Where it lies; `None` when it is absent.
    pub member: Option<Member>,
}

impl<T> Default for Field<T> {
    fn default() -> Self {
        Self { value: None, member: None }
    }
}

/// What a value is called in error messages.
pub(crate) fn called(kind: Kind) -> &'static str {
    match kind {
        Kind::Object => "an object",
        Kind::Array => "an array",
        Kind::String => "a string",
        Kind::Number => "a decimal number",
        Kind::Bool => "a boolean",
        Kind::Null => "null",
    }
}

pub(crate) fn wrong(param: impl Into<Cow<'static, str>>, expected: &'static str, got: Kind) -> BadRequest {
    BadRequest::WrongType { param: param.into(), expected, got: called(got) }
}

fn key_span(key: Str) -> Span {
    Span { start: key.text.span.start.saturating_sub(1), end: key.text.span.end + 1 }
}

/// Reads the value of `key` with `read`, unless it is null.
pub(crate) fn field<T>(
    cursor: &mut Cursor<'_>,
    key: Str,
    read: impl FnOnce(&mut Cursor<'_>, Kind) -> Result<T, BadRequest>,
) -> Result<Field<T>, BadRequest> {
    let kind = cursor.peek()?;
    let start = cursor.at();
    let value = if kind == Kind::Null {
        cursor.skip()?;
        None
    } else {
        Some(read(cursor, kind)?)
    };
    let value_span = Span { start, end: cursor.at() };
    Ok(Field { value, member: Some(Member { key: key_span(key), value: value_span }) })
}

pub(crate) fn boolean(cursor: &mut Cursor<'_>, kind: Kind, param: &'static str) -> Result<bool, BadRequest> {
    if kind != Kind::Bool {
        return Err(wrong(param, "a boolean", kind));
    }
    Ok(cursor.skip()?.len() == "true".len())
}

pub(crate) fn string(cursor: &mut Cursor<'_>, kind: Kind, param: &'static str) -> Result<Text, BadRequest> {
    if kind != Kind::String {
        return Err(wrong(param, "a string", kind));
    }
    Ok(cursor.string()?.text)
}

/// An integer in `least..=most`.
pub(crate) fn integer(
    cursor: &mut Cursor<'_>,
    kind: Kind,
    param: &'static str,
    (least, most): (u32, u32),
) -> Result<u32, BadRequest> {
    if kind != Kind::Number {
        return Err(wrong(param, "an integer", kind));
    }
    let span = cursor.skip()?;
    let digits = span.of(cursor.bytes());
    let sign = usize::from(digits.first() == Some(&b'-'));
    if !digits[sign..].iter().all(u8::is_ascii_digit) {
        return Err(wrong(param, "an integer", kind));
    }
    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    number.filter(|number| (least..=most).contains(number)).ok_or(BadRequest::OutOfRange {
        param,
        least,
        most,
    })
}

/// An array or object that is not looked into.
pub(crate) fn whole(
    cursor: &mut Cursor<'_>,
    kind: Kind,
    param: &'static str,
    wanted: Kind,
) -> Result<Span, BadRequest> {
    if kind != wanted {
        return Err(wrong(param, called(wanted), kind));
    }
    Ok(cursor.skip()?)
}

/// True when `key` would be `name` to a reader that ignores case, as Go's does (which also folds the long s and the
/// Kelvin sign).
pub(crate) fn same_but_for_case(key: &str, name: &str) -> bool {
    let fold = |letter: char| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        _ => letter.to_ascii_lowercase(),
    };
    key.chars().map(fold).eq(name.chars())
}

/// A cursor within the object that `body` must be.
pub(crate) fn document(body: &[u8], depth: u8) -> Result<Cursor<'_>, BadRequest> {
    let mut cursor = Cursor::new(body, depth)?;
    let kind = cursor.peek()?;
    if kind == Kind::Object {
        return Ok(cursor);
    }
    // Not JSON at all is worse news than JSON of another shape.
    cursor.skip()?;
    cursor.end()?;
    Err(wrong("body", "an object", kind))
}

/// `cache_control`, which is Anthropic's and taken by resellers: five minutes cost what the price of a cache write says; anything else is dearer.
pub(crate) fn cache_control(features: &mut Features, cursor: &mut Cursor<'_>) -> Result<(), BadRequest> {
    if cursor.peek()? != Kind::Object {
        cursor.skip()?;
        return Ok(());
    }
    cursor.enter()?;
    let mut first = true;
    while let Some(key) = cursor.key(&mut first)? {
        let is_ttl = key.text.is(cursor.bytes(), "ttl");
        let value = cursor.skip()?.of(cursor.bytes());
        if is_ttl && value != b"\"5m\"" && value != b"null" {
            features.insert(Feature::HourCache);
        }
    }
    Ok(())
}

/// Makes the enum `Top` of the top-level fields of a request that we read.
macro_rules! top_fields {
    ($($field:ident = $name:literal),* $(,)?) => {
        /// A top-level field.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub(super) enum Top { $(#[doc = $name] $field),* }

        impl Top {
            /// All of them.
            const ALL: &[Self] = &[$(Self::$field),*];

            /// The field called exactly so.
            pub(super) fn named(key: &[u8]) -> Option<Self> {
                $(if key == $name.as_bytes() { return Some(Self::$field); })*
                None
            }

            /// As the vendor that has it spells it.
            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$field => $name),* }
            }

            /// The field that a reader which ignores case would take `key` for.
            pub(super) fn resembling(key: &[u8]) -> Option<Self> {
                let key = &*String::from_utf8_lossy(key);
                Self::ALL.iter().copied().find(|field| $crate::openai::field::same_but_for_case(key, field.name()))
            }

            /// A bit of its own.
            pub(super) fn bit(self) -> u32 {
                1 << self as u8
            }
        }
    };
}
pub(crate) use top_fields;
