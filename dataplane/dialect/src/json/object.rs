//! Objects and arrays, read member by member and written likewise.

use super::{Cursor, JsonFault, Kind, push_number, push_string};

impl<'a> Cursor<'a> {
    /// At the object that `bytes` must be, nested as deeply as any cursor allows.
    pub(crate) fn object(bytes: &'a [u8]) -> Result<Self, JsonFault> {
        let mut cursor = Self::new(bytes, u8::MAX)?;
        match cursor.peek()? {
            Kind::Object => Ok(cursor),
            _ => Err(JsonFault::Syntax { at: cursor.at(), expected: "an object" }),
        }
    }

    /// Calls `read` for each member of the object that [`Cursor::peek`] announced; it must pull the value.
    pub(crate) fn members<E: From<JsonFault>>(
        &mut self,
        mut read: impl FnMut(&mut Self, &str, Kind) -> Result<(), E>,
    ) -> Result<(), E> {
        self.enter()?;
        let mut first = true;
        while let Some(key) = self.key(&mut first)? {
            let name = key.text.get(self.bytes());
            let kind = self.peek()?;
            read(self, &name, kind)?;
        }
        Ok(())
    }

    /// Calls `read` for each element of the array that [`Cursor::peek`] announced; it must pull the value.
    pub(crate) fn elements<E: From<JsonFault>>(
        &mut self,
        mut read: impl FnMut(&mut Self, usize, Kind) -> Result<(), E>,
    ) -> Result<(), E> {
        self.enter()?;
        let (mut first, mut index) = (true, 0);
        while self.element(&mut first)? {
            let kind = self.peek()?;
            read(self, index, kind)?;
            index += 1;
        }
        Ok(())
    }

    /// Passes the value of a member that nobody knows. One that differs from a known one in a single byte was garbled
    /// on the way: what it says must not be lost silently.
    pub(crate) fn skip_unknown(&mut self, name: &str, known: &[&str]) -> Result<(), JsonFault> {
        if known.iter().any(|known| nearly(name, known)) {
            return Err(JsonFault::Syntax { at: self.at(), expected: "a member that is spelt right" });
        }
        self.skip().map(|_| ())
    }

    /// The text of the string that [`Cursor::peek`] announced; borrowed unless it has escapes.
    pub(crate) fn text(&mut self) -> Result<std::borrow::Cow<'a, str>, JsonFault> {
        let string = self.string()?;
        Ok(string.text.get(self.bytes()))
    }

    /// Passes one value of any kind and gives it as it is written.
    pub(crate) fn raw(&mut self) -> Result<&'a str, JsonFault> {
        let span = self.skip()?;
        std::str::from_utf8(span.of(self.bytes())).map_err(|_| JsonFault::NotUtf8 { at: span.start })
    }
}

/// True when the two differ in exactly one byte.
pub(crate) fn nearly(word: &str, known: &str) -> bool {
    word.len() == known.len() && word.bytes().zip(known.bytes()).filter(|(a, b)| a != b).count() == 1
}

/// An object being written. Whoever opens it must close it.
pub(crate) struct Object<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl<'o> Object<'o> {
    /// Writes `{`.
    pub(crate) fn open(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    /// Writes the name; the value is to be appended to what it returns. Names need no escaping.
    pub(crate) fn name(&mut self, name: &'static str) -> &mut Vec<u8> {
        if !std::mem::replace(&mut self.first, false) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// As [`Object::name`], for names that somebody else chose.
    pub(crate) fn foreign(&mut self, name: &str) -> &mut Vec<u8> {
        if !std::mem::replace(&mut self.first, false) {
            self.out.push(b',');
        }
        push_string(self.out, name);
        self.out.push(b':');
        self.out
    }

    pub(crate) fn string(&mut self, name: &'static str, text: &str) {
        push_string(self.name(name), text);
    }

    pub(crate) fn number(&mut self, name: &'static str, number: u64) {
        push_number(self.name(name), number);
    }

    pub(crate) fn boolean(&mut self, name: &'static str, value: bool) {
        self.name(name).extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// `json` is one JSON value.
    pub(crate) fn raw(&mut self, name: &'static str, json: &str) {
        self.name(name).extend_from_slice(json.as_bytes());
    }

    /// Writes `}`.
    pub(crate) fn close(self) {
        self.out.push(b'}');
    }
}

/// An array being written. Whoever opens it must close it.
pub(crate) struct List<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl<'o> List<'o> {
    /// Writes `[`.
    pub(crate) fn open(out: &'o mut Vec<u8>) -> Self {
        out.push(b'[');
        Self { out, first: true }
    }

    /// Begins an item, which is to be appended to what it returns.
    pub(crate) fn item(&mut self) -> &mut Vec<u8> {
        if !std::mem::replace(&mut self.first, false) {
            self.out.push(b',');
        }
        self.out
    }

    /// Writes `]`.
    pub(crate) fn close(self) {
        self.out.push(b']');
    }
}

/// Writes an array: `write` is called for each item and appends one value.
pub(crate) fn push_array<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    let mut list = List::open(out);
    for item in items {
        write(list.item(), item);
    }
    list.close();
}

#[cfg(test)]
mod tests {
    use super::{Cursor, JsonFault, nearly};

    #[test]
    fn one_byte_off_is_nearly() {
        assert!(nearly("cootent", "content"));
        for other in ["content", "coötent", "contexts", "conten", "context_", "contnet", ""] {
            assert!(!nearly(other, "content"), "{other}");
        }
        let mut cursor = Cursor::new(b"{} 7", 9).unwrap();
        assert_eq!(cursor.skip_unknown("contexts", &["content"]), Ok(()));
        assert!(matches!(cursor.skip_unknown("cootent", &["content"]), Err(JsonFault::Syntax { .. })));
    }
}
