//! A value that fits a JSON schema.
//!
//! `pattern` is not obeyed; everything else that structured outputs allow is.

mod merge;
mod scalar;

use merge::merged;
use serde_json::{Map, Value, json};

/// Nesting from which only what is required is made, and null or empty is chosen where it is allowed.
const ENOUGH: usize = 6;

/// Nesting at which a schema is taken to have no finite instance.
const HOPELESS: usize = 48;

/// Most values of one instance: schemas can grow exponentially.
const MOST_VALUES: usize = 5_000;

/// Most elements of an array, whatever its `minItems`.
const MOST_ITEMS: u64 = 64;

/// An instance of `schema`: the same one every time.
pub(super) fn instance(schema: &Value) -> Value {
    Maker { root: schema, values: 0 }.value(schema, "value", 0)
}

struct Maker<'a> {
    root: &'a Value,
    values: usize,
}

impl Maker<'_> {
    fn value(&mut self, schema: &Value, name: &str, depth: usize) -> Value {
        self.values += 1;
        let Value::Object(schema) = schema else { return json!(format!("simulated {name}")) };
        if depth >= HOPELESS || self.values > MOST_VALUES {
            return Value::Null;
        }
        if let Some(fixed) = schema.get("const") {
            return fixed.clone();
        }
        if let Some(first) = schema.get("enum").and_then(Value::as_array).and_then(|all| all.first()) {
            return first.clone();
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let found = self.root.pointer(target.strip_prefix('#').unwrap_or(target)).cloned();
            return found.map_or(Value::Null, |target| self.value(&target, name, depth + 1));
        }
        if let Some(whole) = self.combined(schema, depth) {
            return self.value(&whole, name, depth + 1);
        }
        match kind(schema, depth) {
            "object" => self.object(schema, depth),
            "array" => self.array(schema, name, depth),
            "integer" => scalar::number(schema, true),
            "number" => scalar::number(schema, false),
            "boolean" => json!(true),
            "null" => Value::Null,
            _ => scalar::string(schema, name),
        }
    }

    /// The schema with `allOf`, or one branch of `anyOf` or `oneOf`, merged into it.
    fn combined(&self, schema: &Map<String, Value>, depth: usize) -> Option<Value> {
        if let Some(all) = schema.get("allOf").and_then(Value::as_array) {
            return Some(Value::Object(merged(self.root, schema, "allOf", all)));
        }
        for word in ["anyOf", "oneOf"] {
            if let Some(branches) = schema.get(word).and_then(Value::as_array) {
                let is_null = |branch: &&Value| branch["type"] == "null";
                let shallow = branches.iter().find(|branch| !is_null(branch));
                let deep = branches.iter().find(|branch| is_null(branch) || branch.get("$ref").is_none());
                let branch = if depth >= ENOUGH { deep.or(shallow) } else { shallow.or(deep) };
                return Some(Value::Object(merged(
                    self.root,
                    schema,
                    word,
                    branch.map_or(&[], std::slice::from_ref),
                )));
            }
        }
        None
    }

    fn object(&mut self, schema: &Map<String, Value>, depth: usize) -> Value {
        let required = schema.get("required").and_then(Value::as_array);
        let is_required = |name: &str| required.is_some_and(|all| all.iter().any(|one| one == name));
        let mut object = Map::new();
        for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            if is_required(name) || depth < ENOUGH {
                object.insert(name.clone(), self.value(property, name, depth + 1));
            }
        }
        // Required, but described nowhere.
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            if !object.contains_key(name) {
                let rest = schema.get("additionalProperties").cloned().unwrap_or(Value::Bool(true));
                object.insert(name.to_owned(), self.value(&rest, name, depth + 1));
            }
        }
        Value::Object(object)
    }

    fn array(&mut self, schema: &Map<String, Value>, name: &str, depth: usize) -> Value {
        let limit = |word: &str| schema.get(word).and_then(Value::as_u64);
        let usual = u64::from(depth < ENOUGH);
        let count = limit("minItems")
            .unwrap_or(0)
            .max(usual)
            .min(limit("maxItems").unwrap_or(MOST_ITEMS))
            .min(MOST_ITEMS);
        let prefix =
            schema.get("prefixItems").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let items = schema.get("items").cloned().unwrap_or(Value::Bool(true));
        let mut array: Vec<_> = prefix.iter().map(|item| self.value(item, name, depth + 1)).collect();
        let unique = schema.get("uniqueItems") == Some(&Value::Bool(true));
        while (array.len() as u64) < count {
            let item = self.value(&items, &format!("{name} {}", array.len() + 1), depth + 1);
            array.push(if unique { scalar::distinct(item, &items, array.len()) } else { item });
        }
        Value::Array(array)
    }
}

/// The type to be made: the first that is allowed and is not null, or null when it is deep enough.
fn kind(schema: &Map<String, Value>, depth: usize) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => {
            let mut names = kinds.iter().filter_map(Value::as_str);
            if depth >= ENOUGH && kinds.iter().any(|kind| kind == "null") {
                return "null";
            }
            names.find(|kind| *kind != "null").unwrap_or("null")
        }
        _ if schema.contains_key("properties") || schema.contains_key("required") => "object",
        _ if schema.contains_key("items") || schema.contains_key("prefixItems") => "array",
        _ if schema.contains_key("minimum") || schema.contains_key("maximum") => "number",
        _ => "string",
    }
}
