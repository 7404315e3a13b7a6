//! Paths of fields: `spec.models[2].name`, `metadata.labels[a.b/c]`.

use serde_json::Value;

/// Splits at dots and brackets; what is in brackets may hold dots.
pub(crate) fn steps(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = path;
    std::iter::from_fn(move || {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        if rest.is_empty() {
            return None;
        }
        let step = if let Some(inner) = rest.strip_prefix('[') {
            let (step, after) = inner.split_once(']').unwrap_or((inner, ""));
            rest = after;
            step
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let (step, after) = rest.split_at(end);
            rest = after;
            step
        };
        Some(step)
    })
}

/// True when one is the other, or holds it.
pub(crate) fn overlap(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Takes the field at `path` out of `value`; entries of lists stay, so that the others keep their places.
pub(crate) fn remove(value: &mut Value, path: &str) {
    let steps: Vec<&str> = steps(path).collect();
    let Some((last, above)) = steps.split_last() else { return };
    let mut here = value;
    for step in above {
        let next = match here {
            Value::Object(fields) => fields.get_mut(*step),
            Value::Array(items) => step.parse::<usize>().ok().and_then(|i| items.get_mut(i)),
            _ => None,
        };
        let Some(next) = next else { return };
        here = next;
    }
    if let Value::Object(fields) = here {
        fields.remove(*last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_lead_to_fields() {
        assert_eq!(steps("a.b[2].c[d.e/f]").collect::<Vec<_>>(), ["a", "b", "2", "c", "d.e/f"]);
        let mut value = json!({ "a": [{ "b": 1, "c": 2 }], "d": { "e.f": 3 } });
        remove(&mut value, "a[0].b");
        remove(&mut value, "d[e.f]");
        remove(&mut value, "a[0]");
        remove(&mut value, "x.y");
        assert_eq!(value, json!({ "a": [{ "c": 2 }], "d": {} }));
    }

    #[test]
    fn a_field_overlaps_what_it_holds() {
        assert!(overlap("spec.auth", "spec.auth.apiKey") && overlap("spec.models[1]", "spec.models"));
        assert!(!overlap("spec.auth", "spec.authority") && !overlap("spec.a", "spec.b"));
    }
}
