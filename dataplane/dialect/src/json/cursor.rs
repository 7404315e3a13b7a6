//! The cursor: pulls one value after the other out of a document, validating what it passes.

use super::{JsonFault, Span, Str, number, string};

/// What a value is, by its first byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Object,
    Array,
    String,
    Number,
    Bool,
    Null,
}

/// A position in a JSON document.
///
/// Whoever enters an object or array must pull it to its end: `key`/`element` until they say that it is over, and
/// one value after each key or element.
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: u8,
    limit: u8,
}

/// Deepest nesting that any cursor allows: [`Cursor::skip`] keeps one bit a level.
pub(crate) const DEEPEST: u8 = 128;

impl<'a> Cursor<'a> {
    /// At the start of `bytes`, which are checked to be UTF-8. `limit` is at most [`DEEPEST`].
    pub(crate) fn new(bytes: &'a [u8], limit: u8) -> Result<Self, JsonFault> {
        std::str::from_utf8(bytes).map_err(|fault| JsonFault::NotUtf8 { at: fault.valid_up_to() })?;
        Ok(Self { bytes, at: 0, depth: 0, limit: limit.min(DEEPEST) })
    }

    /// At `at` in `bytes` that need not be UTF-8 or a whole document: for a look at a part of it.
    pub(crate) fn within(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, depth: 0, limit: DEEPEST }
    }

    /// Offset of the next byte to be read.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The document.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    #[inline]
    fn next_byte(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    #[inline]
    fn expected<T>(&self, expected: &'static str) -> Result<T, JsonFault> {
        Err(JsonFault::Syntax { at: self.at, expected })
    }

    /// What comes next; its first byte is at [`Self::at`] afterwards.
    #[inline]
    pub(crate) fn peek(&mut self) -> Result<Kind, JsonFault> {
        match self.next_byte() {
            Some(b'"') => Ok(Kind::String),
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b't' | b'f') => Ok(Kind::Bool),
            Some(b'n') => Ok(Kind::Null),
            _ => self.expected("a value"),
        }
    }

    fn deeper(&mut self) -> Result<(), JsonFault> {
        if self.depth >= self.limit {
            return Err(JsonFault::TooDeep { at: self.at, limit: self.limit });
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    /// Enters the object or array that [`Self::peek`] announced.
    pub(crate) fn enter(&mut self) -> Result<(), JsonFault> {
        self.deeper()
    }

    /// The next key of the object that was entered; `None` at its end. `first` starts as true.
    #[inline]
    pub(crate) fn key(&mut self, first: &mut bool) -> Result<Option<Str>, JsonFault> {
        // As machines write it, without a blank: a comma unless it is the first, a quote.
        let comma = usize::from(!*first);
        if self.bytes.get(self.at + comma) == Some(&b'"')
            && (*first || self.bytes.get(self.at) == Some(&b','))
        {
            *first = false;
            let key = string::read(self.bytes, self.at + comma + 1)?;
            self.at = key.text.span.end + 1;
            if self.bytes.get(self.at) == Some(&b':') {
                self.at += 1;
                return Ok(Some(key));
            }
            return self.colon(key);
        }
        if !self.more(first, b'}')? {
            return Ok(None);
        }
        if self.next_byte() != Some(b'"') {
            return self.expected("a key");
        }
        let key = self.pass_string()?;
        self.colon(key)
    }

    /// Passes what must follow `key`.
    fn colon(&mut self, key: Str) -> Result<Option<Str>, JsonFault> {
        if self.next_byte() != Some(b':') {
            return self.expected("a colon");
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// True when the array that was entered has a further element. `first` starts as true.
    #[inline]
    pub(crate) fn element(&mut self, first: &mut bool) -> Result<bool, JsonFault> {
        self.more(first, b']')
    }

    #[inline]
    fn more(&mut self, first: &mut bool, close: u8) -> Result<bool, JsonFault> {
        let next = self.next_byte();
        let was_first = std::mem::replace(first, false);
        if next == Some(close) {
            self.at += 1;
            self.depth -= 1;
            return Ok(false);
        }
        if !was_first {
            if next != Some(b',') {
                return self.expected("a comma or the end");
            }
            self.at += 1;
            if self.next_byte() == Some(close) {
                return self.expected("something after a comma");
            }
        }
        Ok(true)
    }

    #[inline]
    fn pass_string(&mut self) -> Result<Str, JsonFault> {
        let read = string::read(self.bytes, self.at + 1)?;
        self.at = read.text.span.end + 1;
        Ok(read)
    }

    /// The string that [`Self::peek`] announced.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<Str, JsonFault> {
        self.pass_string()
    }

    /// Passes one value of any kind and says where it lies.
    #[inline]
    pub(crate) fn skip(&mut self) -> Result<Span, JsonFault> {
        let kind = self.peek()?;
        let start = self.at;
        match kind {
            Kind::Object | Kind::Array => self.skip_nested()?,
            _ => self.scalar()?,
        }
        Ok(Span { start, end: self.at })
    }

    fn scalar(&mut self) -> Result<(), JsonFault> {
        match self.bytes.get(self.at) {
            Some(b'"') => {
                self.pass_string()?;
            }
            Some(b't') => self.word(b"true")?,
            Some(b'f') => self.word(b"false")?,
            Some(b'n') => self.word(b"null")?,
            _ => self.at = number::end(self.bytes, self.at)?,
        }
        Ok(())
    }

    fn word(&mut self, word: &'static [u8]) -> Result<(), JsonFault> {
        if !self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return self.expected("true, false or null");
        }
        self.at += word.len();
        Ok(())
    }

    /// Without recursion: bit n of `objects` says whether level n is an object.
    fn skip_nested(&mut self) -> Result<(), JsonFault> {
        let floor = self.depth;
        let mut objects = 0_u128;
        let mut first = self.open(&mut objects)?;
        while self.depth > floor {
            let in_object = objects & 1 == 1;
            let more = if in_object { self.key(&mut first)?.is_some() } else { self.element(&mut first)? };
            if !more {
                objects >>= 1;
                continue;
            }
            match self.peek()? {
                Kind::Object | Kind::Array => first = self.open(&mut objects)?,
                _ => self.scalar()?,
            }
        }
        Ok(())
    }

    fn open(&mut self, objects: &mut u128) -> Result<bool, JsonFault> {
        let object = self.bytes.get(self.at) == Some(&b'{');
        self.deeper()?;
        *objects = *objects << 1 | u128::from(object);
        Ok(true)
    }

    /// The document must end here.
    pub(crate) fn end(&mut self) -> Result<(), JsonFault> {
        if self.next_byte().is_some() { self.expected("the end of the document") } else { Ok(()) }
    }
}
