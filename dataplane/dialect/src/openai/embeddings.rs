//! A request for embeddings, scanned once.

use super::field::{Field, document, field, integer, same_but_for_case, string, wrong};
use super::{BadRequest, Member, ScanLimits};
use crate::json::{Cursor, Kind, Str, Text};
use bytes::Bytes;

/// `POST /v1/embeddings`.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddingsRequest;

/// What a request for embeddings says; texts refer to the body that was scanned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EmbeddingsScan {
    /// The model's name.
    pub model: Text,
    /// Where `model` lies.
    pub model_member: Member,
    /// How many vectors are asked for.
    pub inputs: u32,
    /// Bytes of text inputs, escapes resolved, and raw bytes of unknown fields.
    pub text_bytes: u64,
    /// Tokens of inputs that came as tokens.
    pub tokens: u64,
    /// `dimensions`.
    pub dimensions: Option<u32>,
    /// `encoding_format` is `base64`.
    pub base64: bool,
    /// `user`.
    pub user: Option<Text>,
}

const FIELDS: [&str; 5] = ["model", "input", "dimensions", "encoding_format", "user"];

#[derive(Default)]
struct Scan {
    seen: [bool; FIELDS.len()],
    model: Field<Text>,
    inputs: u32,
    text_bytes: u64,
    tokens: u64,
    dimensions: Option<u32>,
    base64: bool,
    user: Option<Text>,
}

impl EmbeddingsRequest {
    /// Scans a body in one pass without copying. The whole body is checked to be JSON.
    ///
    /// # Errors
    /// As for a chat request.
    pub fn scan(body: &[u8], limits: &ScanLimits) -> Result<EmbeddingsScan, BadRequest> {
        let mut cursor = document(body, limits.depth)?;
        cursor.enter()?;
        let mut scan = Scan::default();
        let mut first = true;
        while let Some(key) = cursor.key(&mut first)? {
            scan.member(&mut cursor, key)?;
        }
        cursor.end()?;
        scan.finish()
    }
}

impl EmbeddingsScan {
    /// The body with the name that the provider knows the model by; copied once, or not at all.
    #[must_use]
    pub fn splice(&self, body: &Bytes, model: &str) -> Bytes {
        super::splice::embeddings(self, body, model)
    }
}

impl Scan {
    fn member(&mut self, cursor: &mut Cursor<'_>, key: Str) -> Result<(), BadRequest> {
        let name = key.text.get(cursor.bytes());
        let Some(index) = FIELDS.iter().position(|field| *field == name) else {
            if let Some(param) = FIELDS.into_iter().find(|field| same_but_for_case(&name, field)) {
                return Err(BadRequest::Misspelt { param });
            }
            self.text_bytes += cursor.skip()?.len() as u64;
            return Ok(());
        };
        let param = FIELDS[index];
        if std::mem::replace(&mut self.seen[index], true) {
            return Err(BadRequest::Duplicate { param });
        }
        match param {
            "model" => self.model = field(cursor, key, |c, kind| string(c, kind, param))?,
            "input" => self.input(cursor)?,
            "dimensions" => {
                self.dimensions = field(cursor, key, |c, kind| integer(c, kind, param, (1, u32::MAX)))?.value;
            }
            "encoding_format" => {
                let format = field(cursor, key, |c, kind| string(c, kind, param))?.value;
                self.base64 = format.is_some_and(|format| format.is(cursor.bytes(), "base64"));
            }
            _ => self.user = field(cursor, key, |c, kind| string(c, kind, param))?.value,
        }
        Ok(())
    }

    fn input(&mut self, cursor: &mut Cursor<'_>) -> Result<(), BadRequest> {
        const EXPECTED: &str = "a string, an array of strings, or arrays of token numbers";
        match cursor.peek()? {
            Kind::String => self.text(cursor)?,
            Kind::Array => self.list(cursor)?,
            kind => return Err(wrong("input", EXPECTED, kind)),
        }
        Ok(())
    }

    fn text(&mut self, cursor: &mut Cursor<'_>) -> Result<(), BadRequest> {
        self.inputs += 1;
        self.text_bytes += cursor.string()?.len as u64;
        Ok(())
    }

    fn list(&mut self, cursor: &mut Cursor<'_>) -> Result<(), BadRequest> {
        cursor.enter()?;
        let (mut first, mut numbers, mut others) = (true, false, false);
        while cursor.element(&mut first)? {
            let kind = cursor.peek()?;
            match kind {
                Kind::String => self.text(cursor)?,
                Kind::Array => self.token_list(cursor)?,
                Kind::Number => self.token(cursor, kind)?,
                _ => return Err(wrong("input", "an array of strings or of token numbers", kind)),
            }
            numbers |= kind == Kind::Number;
            others |= kind != Kind::Number;
        }
        if numbers && others {
            return Err(wrong("input", "an array of one type", Kind::Array));
        }
        if !numbers && !others {
            return Err(BadRequest::Empty { param: "input" });
        }
        self.inputs += u32::from(numbers);
        Ok(())
    }

    fn token_list(&mut self, cursor: &mut Cursor<'_>) -> Result<(), BadRequest> {
        cursor.enter()?;
        let mut first = true;
        while cursor.element(&mut first)? {
            let kind = cursor.peek()?;
            self.token(cursor, kind)?;
        }
        self.inputs += 1;
        Ok(())
    }

    fn token(&mut self, cursor: &mut Cursor<'_>, kind: Kind) -> Result<(), BadRequest> {
        integer(cursor, kind, "input", (0, u32::MAX))?;
        self.tokens += 1;
        Ok(())
    }

    fn finish(self) -> Result<EmbeddingsScan, BadRequest> {
        let (Some(model), Some(model_member)) = (self.model.value, self.model.member) else {
            return Err(BadRequest::Missing { param: "model" });
        };
        if self.inputs == 0 {
            return Err(BadRequest::Missing { param: "input" });
        }
        Ok(EmbeddingsScan {
            model,
            model_member,
            inputs: self.inputs,
            text_bytes: self.text_bytes,
            tokens: self.tokens,
            dimensions: self.dimensions,
            base64: self.base64,
            user: self.user,
        })
    }
}
