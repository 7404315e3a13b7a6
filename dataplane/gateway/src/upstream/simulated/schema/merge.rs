//! `allOf` and chosen branches, folded into the schema that has them.

use serde_json::{Map, Value};

/// `schema` without `word`, with `branches` merged in; references are followed once.
pub(super) fn merged(
    root: &Value,
    schema: &Map<String, Value>,
    word: &str,
    branches: &[Value],
) -> Map<String, Value> {
    let mut whole = schema.clone();
    whole.remove(word);
    for branch in branches {
        let target = branch.get("$ref").and_then(Value::as_str);
        let followed = target.and_then(|target| root.pointer(target.strip_prefix('#').unwrap_or(target)));
        // A lone branch keeps its reference: what it refers to counts as one level deeper.
        if followed.is_some() && whole.is_empty() && branches.len() == 1 {
            return branch.as_object().cloned().unwrap_or_default();
        }
        if let Some(branch) = followed.unwrap_or(branch).as_object() {
            absorb(&mut whole, branch);
        }
    }
    whole
}

fn absorb(whole: &mut Map<String, Value>, branch: &Map<String, Value>) {
    for (name, value) in branch {
        match (whole.get_mut(name), value) {
            (Some(Value::Object(have)), Value::Object(more)) if name == "properties" => {
                have.extend(more.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
            (Some(Value::Array(have)), Value::Array(more)) if name == "required" => {
                have.extend(more.iter().cloned());
            }
            _ => {
                whole.insert(name.clone(), value.clone());
            }
        }
    }
}
