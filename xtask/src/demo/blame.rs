//! Why the demo did not go as it should: what the gateway says of its resources.

use super::gateway::{Gateway, WORLD};
use super::http;
use serde_json::Value;

/// Most findings that are shown.
const MOST: usize = 10;

/// Lines for the person at the terminal.
pub(super) fn lines(gateway: &Gateway) -> Vec<String> {
    let asked = http::call(gateway.admin, ("GET", "/resources"), None, None).and_then(http::Answer::json);
    let mut lines = asked.map(|resources| findings(&resources)).unwrap_or_default();
    let wrong = lines.len();
    if wrong > MOST {
        lines.truncate(MOST);
        lines.push(format!("  and {} more: target/debug/smartflow-gateway check {WORLD}", wrong - MOST));
    }
    if wrong > 0 {
        lines.insert(0, format!("The gateway says of {WORLD}:"));
    }
    lines.push(format!(
        "The demo needs {WORLD} as it is in the repository. What was changed: git diff {WORLD}"
    ));
    lines.push(format!("The gateway's log: {}", gateway.log().display()));
    lines
}

/// What `GET /resources` finds wrong, one line each.
fn findings(resources: &Value) -> Vec<String> {
    let each = |list: &'static str| resources[list].as_array().into_iter().flatten();
    let mut lines = Vec::new();
    for owner in each("files").chain(each("items")) {
        let text = |field: &str| owner[field].as_str().unwrap_or_default();
        let place = format!("{WORLD}/{}", text("file"));
        for finding in owner["findings"].as_array().into_iter().flatten() {
            let said = |field: &str| finding[field].as_str().unwrap_or_default();
            let line = finding["at"]["line"].as_u64().map(|line| format!(":{line}")).unwrap_or_default();
            let object = match text("name") {
                "" => String::new(),
                name => format!(" {} {}/{name}:", text("kind"), text("namespace")),
            };
            let path = if said("path").is_empty() { String::new() } else { format!(" {}:", said("path")) };
            lines.push(format!("  {place}{line}:{object}{path} {} Fix: {}", said("message"), said("fix")));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn each_finding_has_its_place_and_its_fix() {
        let finding = json!({"path": "spec.modelz", "message": "There is no field modelz.", "fix": "Write models.",
            "at": {"line": 7, "column": 3}});
        let resources = json!({
            "items": [
                {"kind": "VirtualKey", "namespace": "default", "name": "alice", "file": "keys.yaml", "findings": [finding]},
                {"kind": "VirtualKey", "namespace": "default", "name": "tiny", "file": "keys.yaml", "findings": []},
            ],
            "files": [{"file": "policy.yaml", "findings": [{"path": "", "message": "Not YAML.", "fix": "Close it."}]}],
        });
        assert_eq!(
            super::findings(&resources),
            [
                "  config/samples/quickstart/policy.yaml: Not YAML. Fix: Close it.",
                "  config/samples/quickstart/keys.yaml:7: VirtualKey default/alice: spec.modelz: There is no field modelz. Fix: Write models.",
            ]
        );
    }
}
