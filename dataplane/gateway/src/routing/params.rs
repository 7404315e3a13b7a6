//! Parameters that a target of a chain sets in the request: top-level fields, put in place of the caller's.

use bytes::Bytes;
use serde::Deserializer;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use smartflow_snapshot::Params;
use std::borrow::Cow;
use std::fmt;

/// `body`, a JSON object that was scanned before, with the fields of `params`. What cannot be read is left as it is: then
/// the provider refuses it.
#[must_use]
pub fn apply(params: &Params, body: Bytes) -> Bytes {
    if params.fields.is_empty() {
        return body;
    }
    let read = serde_json::Deserializer::from_slice(&body).deserialize_map(Fields);
    let Ok(fields) = read else { return body };
    let set = |name: &str| params.fields.iter().any(|(n, _)| **n == *name);
    let mut out = Vec::with_capacity(body.len() + 64);
    let mut comma = b'{';
    let kept = fields.iter().filter(|(name, _)| !set(name)).map(|(name, value)| (&**name, value.get()));
    for (name, value) in kept.chain(params.fields.iter().map(|(name, value)| (&**name, &**value))) {
        out.push(std::mem::replace(&mut comma, b','));
        // A vector takes all that is written.
        let _ = serde_json::to_writer(&mut out, name);
        out.push(b':');
        out.extend_from_slice(value.as_bytes());
    }
    out.push(b'}');
    out.into()
}

/// The fields of an object, in order, values as they are written.
struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(name) = map.next_key::<Name<'de>>()? {
            fields.push((name.0, map.next_value()?));
        }
        Ok(fields)
    }
}

/// A field's name, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::Value;

    fn params(fields: &[(&str, &str)]) -> Params {
        let fields = fields.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        Params { fields, max_output: None }
    }

    fn applied(fields: &[(&str, &str)], body: &'static str) -> String {
        String::from_utf8(apply(&params(fields), Bytes::from_static(body.as_bytes())).to_vec()).unwrap()
    }

    #[test]
    fn fields_are_put_in_place_of_the_callers_and_others_stay_as_they_are() {
        let body = r#"{"model":"m", "temperature":1.5,"x\n":[ 1 , {"temperature":2}],"big":12345678901234567890123}"#;
        let out = applied(&[("temperature", "0.2"), ("top_p", "1")], body);
        assert_eq!(
            out,
            r#"{"model":"m","x\n":[ 1 , {"temperature":2}],"big":12345678901234567890123,"temperature":0.2,"top_p":1}"#
        );
        assert!(serde_json::from_str::<Value>(&out).is_ok());
    }

    #[test]
    fn an_escaped_name_is_the_same_name() {
        assert_eq!(applied(&[("top_p", "1")], r#"{"top\u005fp":0.5}"#), r#"{"top_p":1}"#);
        assert_eq!(applied(&[("top_p", "1")], "{}"), r#"{"top_p":1}"#);
    }

    #[test]
    fn nothing_to_set_costs_nothing() {
        let body = Bytes::from_static(b"{ }");
        assert_eq!(apply(&params(&[]), body.clone()).as_ptr(), body.as_ptr());
    }
}
