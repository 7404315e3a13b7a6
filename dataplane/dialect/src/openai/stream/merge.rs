//! Deltas added up.

use serde_json::{Map, Value};

/// Adds `delta` to `message`: strings are appended, lists extended, objects merged, null ignored, the rest replaced.
/// Names and identities are set once: vendors that repeat them mean the same.
pub(super) fn merge(message: &mut Map<String, Value>, delta: Map<String, Value>) {
    for (name, value) in delta {
        if value.is_null() {
            message.entry(name).or_insert(Value::Null);
            continue;
        }
        let once = matches!(name.as_str(), "role" | "id" | "type" | "name" | "index");
        match (message.get_mut(&name), value) {
            (Some(Value::String(text)), Value::String(more)) => {
                if !once || text.is_empty() {
                    text.push_str(&more);
                }
            }
            (Some(Value::Array(list)), Value::Array(more)) => list.extend(more),
            (Some(Value::Object(object)), Value::Object(more)) => merge(object, more),
            (_, value) => {
                message.insert(name, value);
            }
        }
    }
}

/// Tool calls of one choice, in the order in which they began.
#[derive(Default)]
pub(super) struct ToolCalls {
    /// (index on the wire, call).
    calls: Vec<(Option<u64>, Map<String, Value>)>,
}

impl ToolCalls {
    /// Adds the deltas of one chunk.
    pub(super) fn extend(&mut self, deltas: Vec<Value>) {
        for delta in deltas {
            if let Value::Object(mut delta) = delta {
                let index = delta.remove("index").and_then(|index| index.as_u64());
                merge(self.slot(index, &delta), delta);
            }
        }
    }

    /// The call that `delta` goes on with, or a new one. Some vendors leave out the index, or give all calls the same;
    /// then a new id is a new call.
    fn slot(&mut self, index: Option<u64>, delta: &Map<String, Value>) -> &mut Map<String, Value> {
        let id = delta.get("id").and_then(Value::as_str).filter(|id| !id.is_empty());
        let same = self.calls.iter().rposition(|(at, call)| {
            let known = call.get("id").and_then(Value::as_str);
            *at == index && (id.is_none() || known.is_none_or(str::is_empty) || known == id)
        });
        let at = same.unwrap_or_else(|| {
            self.calls.push((index, Map::new()));
            self.calls.len() - 1
        });
        &mut self.calls[at].1
    }

    /// As a message has them; `None` when there are none.
    pub(super) fn into_value(mut self) -> Option<Value> {
        self.calls.sort_by_key(|(index, _)| *index);
        let calls: Vec<_> = self.calls.into_iter().map(|(_, call)| Value::Object(call)).collect();
        (!calls.is_empty()).then_some(Value::Array(calls))
    }
}
