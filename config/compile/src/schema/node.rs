//! A structural schema, read once.

use regex::Regex;
use serde_json::Value;
use std::collections::BTreeMap;

/// One node of a structural schema (OpenAPI v3 as CRDs have it). Keywords that are not here are not used by the kinds;
/// a test fails when one appears.
#[derive(Debug, Default)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) properties: BTreeMap<String, Node>,
    pub(crate) additional: Option<Box<Node>>,
    pub(crate) required: Vec<String>,
    pub(crate) items: Option<Box<Node>>,
    pub(crate) values: Vec<Value>,
    pub(crate) pattern: Option<(String, Regex)>,
    pub(crate) date_time: bool,
    pub(crate) range: Bounds<i64>,
    pub(crate) length: Bounds<u64>,
    pub(crate) count: Bounds<u64>,
    pub(crate) entries: Bounds<u64>,
    pub(crate) list: List,
    pub(crate) default: Option<Value>,
}

/// Smallest and largest, both allowed.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Bounds<T> {
    pub(crate) min: Option<T>,
    pub(crate) max: Option<T>,
}

/// JSON types, with a catch-all that admits nothing (a schema without a type is not structural).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    String,
    Integer,
    Boolean,
    #[default]
    Unknown,
}

/// What makes entries of a list equal.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum List {
    #[default]
    Atomic,
    Set,
    Map(Vec<String>),
}

impl Node {
    pub(crate) fn of(schema: &Value) -> Self {
        let text = |key: &str| schema.get(key).and_then(Value::as_str);
        let strings = |key: &str| -> Vec<String> {
            let items = schema.get(key).and_then(Value::as_array);
            items.into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
        };
        let size = |key: &str| schema.get(key).and_then(Value::as_u64);
        let format = text("format");
        let properties = schema.get("properties").and_then(Value::as_object);
        Self {
            kind: Kind::of(text("type")),
            properties: properties.into_iter().flatten().map(|(k, v)| (k.clone(), Self::of(v))).collect(),
            additional: schema
                .get("additionalProperties")
                .filter(|a| a.is_object())
                .map(|a| Box::new(Self::of(a))),
            required: strings("required"),
            items: schema.get("items").map(|i| Box::new(Self::of(i))),
            values: schema.get("enum").and_then(Value::as_array).cloned().unwrap_or_default(),
            pattern: text("pattern").and_then(pattern),
            date_time: format == Some("date-time"),
            range: Bounds {
                min: whole(schema, "minimum", format, i64::MIN),
                max: whole(schema, "maximum", format, i64::MAX),
            },
            length: Bounds { min: size("minLength"), max: size("maxLength") },
            count: Bounds { min: size("minItems"), max: size("maxItems") },
            entries: Bounds { min: size("minProperties"), max: size("maxProperties") },
            list: match text("x-kubernetes-list-type") {
                Some("set") => List::Set,
                Some("map") => List::Map(strings("x-kubernetes-list-map-keys")),
                _ => List::Atomic,
            },
            default: schema.get("default").cloned(),
        }
    }
}

impl Kind {
    fn of(name: Option<&str>) -> Self {
        match name {
            Some("object") => Self::Object,
            Some("array") => Self::Array,
            Some("string") => Self::String,
            Some("integer") => Self::Integer,
            Some("boolean") => Self::Boolean,
            _ => Self::Unknown,
        }
    }

    /// True when `value` is of this type.
    pub(crate) fn admits(self, value: &Value) -> bool {
        match self {
            Self::Object => value.is_object(),
            Self::Array => value.is_array(),
            Self::String => value.is_string(),
            // 3.0 is an integer for an API server, too.
            Self::Integer => {
                value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|f| f.fract() == 0.0)
            }
            Self::Boolean => value.is_boolean(),
            Self::Unknown => false,
        }
    }

    /// What people call it.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Object => "a mapping",
            Self::Array => "a list",
            Self::String => "text",
            Self::Integer => "a whole number",
            Self::Boolean => "true or false",
            Self::Unknown => "nothing",
        }
    }
}

/// A bound of a number: the schema's own, else its format's.
fn whole(schema: &Value, key: &str, format: Option<&str>, int64: i64) -> Option<i64> {
    let own = schema.get(key).and_then(|v| v.as_i64().or_else(|| v.as_f64().and_then(exact)));
    let of_format = match format {
        Some("int32") if int64 < 0 => Some(i64::from(i32::MIN)),
        Some("int32") => Some(i64::from(i32::MAX)),
        Some("int64") => Some(int64),
        _ => None,
    };
    own.or(of_format)
}

/// `float` as an integer, when it is one that a double holds exactly.
pub(crate) fn exact(float: f64) -> Option<i64> {
    // Below 2^53 the cast loses nothing.
    #[allow(clippy::cast_possible_truncation)]
    let whole = float as i64;
    (float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0).then_some(whole)
}

fn pattern(text: &str) -> Option<(String, Regex)> {
    // The API server's engine reads \d as ASCII digits, Rust's as those of all scripts.
    let ascii = text.replace(r"\d", "[0-9]");
    Regex::new(&ascii).ok().map(|regex| (text.to_owned(), regex))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `Node` reads, what CEL reads, and what is only for people.
    const KNOWN: [&str; 21] = [
        "type",
        "properties",
        "additionalProperties",
        "required",
        "items",
        "enum",
        "pattern",
        "format",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "minProperties",
        "maxProperties",
        "default",
        "x-kubernetes-list-type",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-validations",
        "description",
    ];

    fn walk(schema: &Value, path: &str) {
        for (keyword, value) in schema.as_object().unwrap() {
            assert!(
                KNOWN.contains(&keyword.as_str()) || keyword == "title",
                "{path}: {keyword} would be ignored"
            );
            match keyword.as_str() {
                "properties" => {
                    value.as_object().unwrap().iter().for_each(|(k, v)| walk(v, &format!("{path}.{k}")))
                }
                "items" | "additionalProperties" => walk(value, &format!("{path}[]")),
                "format" => {
                    assert!(["int32", "int64", "date-time"].contains(&value.as_str().unwrap()), "{path}")
                }
                "type" => assert_ne!(Kind::of(value.as_str()), Kind::Unknown, "{path}"),
                "pattern" => assert!(super::pattern(value.as_str().unwrap()).is_some(), "{path}"),
                _ => {}
            }
        }
    }

    #[test]
    fn no_keyword_of_the_kinds_is_ignored() {
        let definitions = smartflow_crds::all().unwrap();
        assert_eq!(definitions.len(), 4);
        for definition in definitions {
            let value = serde_json::to_value(&definition).unwrap();
            walk(value.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec").unwrap(), "spec");
        }
    }
}
