//! One record of the stream: a change, with the head that follows from it.

use crate::digest::Field;
use crate::revision::Revision;
use bytes::Bytes;

/// Most entries of one record.
pub(crate) const MOST_ENTRIES: usize = 512;
/// A record that is larger begins another one.
pub(crate) const MOST_BYTES: usize = 256 * 1024;
/// Bytes of a name.
const FIELD: usize = 16;

/// What is done to one entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    /// It is this now.
    Set(Field, Bytes),
    /// The object is gone; the tombstone, sealed like an entry, says which one.
    Gone(Field, Bytes),
    /// The name is free: the object is under another one now.
    Moved(Field),
}

impl Part {
    /// What names it in the stream.
    pub(crate) fn tag(&self) -> &'static [u8] {
        match self {
            Self::Set(..) => b"e",
            Self::Gone(..) => b"t",
            Self::Moved(_) => b"m",
        }
    }

    /// Name and content in one.
    pub(crate) fn body(&self) -> Vec<u8> {
        match self {
            Self::Set(field, sealed) | Self::Gone(field, sealed) => [&field.0[..], sealed].concat(),
            Self::Moved(field) => field.0.to_vec(),
        }
    }

    fn read(tag: &[u8], body: &Bytes) -> Option<Self> {
        let field = Field::read(body.get(..FIELD)?)?;
        let rest = body.slice(FIELD..);
        match tag {
            b"e" => Some(Self::Set(field, rest)),
            b"t" => Some(Self::Gone(field, rest)),
            b"m" => Some(Self::Moved(field)),
            _ => None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Set(_, sealed) | Self::Gone(_, sealed) => FIELD + sealed.len(),
            Self::Moved(_) => FIELD,
        }
    }
}

/// A change that was published as one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Record {
    /// As its id in the stream says; proven by the head.
    pub(crate) at: Revision,
    /// What it follows; `None` = nothing, the set begins with it.
    pub(crate) previous: Option<Revision>,
    /// Sealed.
    pub(crate) head: Bytes,
    pub(crate) parts: Vec<Part>,
}

/// Tag of the previous revision.
pub(crate) const PREVIOUS: &[u8] = b"p";
/// Tag of the head.
pub(crate) const HEAD: &[u8] = b"h";

impl Record {
    /// Of tags and bodies in turn; `None`: not a record.
    pub(crate) fn read(at: Revision, pairs: impl IntoIterator<Item = (Bytes, Bytes)>) -> Option<Self> {
        let (mut previous, mut head, mut parts) = (None, None, Vec::new());
        for (tag, body) in pairs {
            match &tag[..] {
                PREVIOUS if body.is_empty() => {}
                PREVIOUS => previous = Some(std::str::from_utf8(&body).ok()?.parse().ok()?),
                HEAD => head = Some(body),
                tag => parts.push(Part::read(tag, &body)?),
            }
        }
        Some(Self { at, previous, head: head?, parts })
    }

    /// Tags and bodies.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&'static [u8], Vec<u8>)> {
        let previous = self.previous.map(|p| p.to_string()).unwrap_or_default();
        let front = [(PREVIOUS, previous.into_bytes()), (HEAD, self.head.to_vec())];
        front.into_iter().chain(self.parts.iter().map(|p| (p.tag(), p.body())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back() {
        let field = Field([7; 16]);
        let parts = vec![
            Part::Set(field, Bytes::from_static(b"sealed")),
            Part::Gone(field, Bytes::from_static(b"tomb")),
            Part::Moved(field),
        ];
        let at = Revision { epoch: 1, number: 2 };
        let head = Bytes::from_static(b"head");
        for previous in [None, Some(at)] {
            let record = Record { at: at.next(), previous, head: head.clone(), parts: parts.clone() };
            let pairs = record.pairs().map(|(tag, body)| (Bytes::from_static(tag), Bytes::from(body)));
            assert_eq!(Record::read(at.next(), pairs), Some(record));
        }
        let short = [(Bytes::from_static(b"e"), Bytes::from_static(b"short"))];
        assert_eq!(Record::read(at, short), None);
    }
}
