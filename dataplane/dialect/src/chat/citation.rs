//! Where a text has it from (case 103).

use crate::json::{Cursor, JsonFault, Kind, Object};
use std::borrow::Cow;

/// An address on which a text rests: OpenAI's `url_citation`, Anthropic's results of searches. Places within documents
/// that the caller gave have no address, and only Anthropic's format says them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Citation<'a> {
    /// The address.
    pub url: Cow<'a, str>,
    /// What is there is called.
    pub title: Option<Cow<'a, str>>,
    /// What it says there.
    pub quote: Option<Cow<'a, str>>,
    /// The characters of the answer's text that rest on it, from and to; `None` = those of the part that it stands at.
    pub range: Option<(u64, u64)>,
}

/// Members of which none may be lost.
const KNOWN: [&str; 7] = ["url_citation", "url", "source", "title", "cited_text", "start_index", "end_index"];

/// What the members of a citation say.
#[derive(Default)]
struct Members<'a> {
    url: Option<Cow<'a, str>>,
    title: Option<Cow<'a, str>>,
    quote: Option<Cow<'a, str>>,
    start: Option<u64>,
    end: Option<u64>,
}

impl<'a> Members<'a> {
    /// Reads `{type, url, title, …}` and `{type, url_citation: {url, title, …}}`.
    fn read(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonFault> {
        cursor.members(|cursor, name, kind| {
            match (name, kind) {
                ("url_citation", Kind::Object) => self.nested(cursor)?,
                _ => self.member(cursor, name, kind)?,
            }
            Ok(())
        })
    }

    fn nested(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonFault> {
        cursor.members(|cursor, name, kind| self.member(cursor, name, kind))
    }

    fn member(&mut self, cursor: &mut Cursor<'a>, name: &str, kind: Kind) -> Result<(), JsonFault> {
        match (name, kind) {
            ("url" | "source", Kind::String) => self.url = Some(cursor.text()?),
            ("title", Kind::String) => self.title = Some(cursor.text()?),
            ("cited_text", Kind::String) => self.quote = Some(cursor.text()?),
            ("start_index", Kind::Number) => self.start = cursor.raw()?.parse().ok(),
            ("end_index", Kind::Number) => self.end = cursor.raw()?.parse().ok(),
            _ => cursor.skip_unknown(name, &KNOWN)?,
        }
        Ok(())
    }
}

impl<'a> Citation<'a> {
    /// Reads the object that comes next; `None` where it names no address.
    pub(crate) fn read(cursor: &mut Cursor<'a>) -> Result<Option<Self>, JsonFault> {
        let mut read = Members::default();
        read.read(cursor)?;
        let Members { url, title, quote, start, end } = read;
        let range = start.zip(end).filter(|(start, end)| start <= end);
        Ok(url.filter(|url| !url.is_empty()).map(|url| Self { url, title, quote, range }))
    }

    /// Those of an array, as vendors write it, that name an address.
    pub(crate) fn all(array: &'a str) -> Vec<Self> {
        let mut all = Vec::new();
        let Ok(mut cursor) = Cursor::new(array.as_bytes(), u8::MAX) else { return all };
        if cursor.peek() == Ok(Kind::Array) {
            // What it says before it is garbled stands.
            let _ = Self::list(&mut cursor, |citation| all.push(citation));
        }
        all
    }

    /// Reads the array that comes next.
    pub(crate) fn list(cursor: &mut Cursor<'a>, mut each: impl FnMut(Self)) -> Result<(), JsonFault> {
        cursor.elements(|cursor, _, kind| {
            if kind != Kind::Object {
                cursor.skip()?;
                return Ok(());
            }
            Self::read(cursor)?.into_iter().for_each(&mut each);
            Ok(())
        })
    }

    /// Bytes that it holds.
    pub(crate) fn len(&self) -> usize {
        let some = |text: &Option<Cow<'_, str>>| text.as_ref().map_or(0, |text| text.len());
        self.url.len() + some(&self.title) + some(&self.quote)
    }

    pub(crate) fn into_owned(self) -> Citation<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        let Self { url, title, quote, range } = self;
        Citation { url: own(url), title: title.map(own), quote: quote.map(own), range }
    }

    /// In OpenAI's words.
    pub(crate) fn push_annotation(&self, out: &mut Vec<u8>) {
        let (start, end) = self.range.unwrap_or_default();
        let mut object = Object::open(out);
        object.string("type", "url_citation");
        let mut inner = Object::open(object.name("url_citation"));
        inner.number("start_index", start);
        inner.number("end_index", end);
        inner.string("title", self.title.as_ref().unwrap_or(&self.url));
        inner.string("url", &self.url);
        inner.close();
        object.close();
    }

    /// In Anthropic's words. Its mark by which Anthropic knows a result again is empty: it is not Anthropic's.
    pub(crate) fn push_result(&self, out: &mut Vec<u8>) {
        let mut object = Object::open(out);
        object.string("type", "web_search_result_location");
        object.string("url", &self.url);
        match &self.title {
            Some(title) => object.string("title", title),
            None => object.raw("title", "null"),
        }
        object.string("encrypted_index", "");
        object.string("cited_text", self.quote.as_deref().unwrap_or_default());
        object.close();
    }
}
