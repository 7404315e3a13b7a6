//! Who wrote what: the API server's audit log, read.

use serde::Deserialize;
use std::fs;
use std::path::Path;

/// A write that the API server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Who: `admin`, `system:serviceaccount:smartflow-system:smartflow-operator`.
    pub user: String,
    /// `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: String,
    /// `virtualkeys`, `leases`.
    pub resource: String,
    /// `status`, or empty.
    pub subresource: String,
    /// Empty for what is of no namespace.
    pub namespace: String,
    /// Empty where the server chose it.
    pub name: String,
    /// The answer's status: 200, 409.
    pub code: u16,
    /// When it was answered, as RFC 3339 in UTC with microseconds: such texts compare as times.
    pub at: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    verb: String,
    user: User,
    impersonated_user: Option<User>,
    #[serde(default)]
    object_ref: Object,
    #[serde(default)]
    response_status: Status,
    stage_timestamp: String,
    stage: String,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Object {
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    code: u16,
}

/// All writes so far, oldest first. A line that is still being written is left out.
pub(super) fn read(log: &Path) -> Vec<Write> {
    let text = fs::read_to_string(log).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let lines =
        whole.lines().map(|line| serde_json::from_str::<Line>(line).expect("a line of the audit log"));
    lines.filter(|line| line.stage == "ResponseComplete").map(Write::from).collect()
}

impl From<Line> for Write {
    fn from(line: Line) -> Self {
        Self {
            user: line.impersonated_user.unwrap_or(line.user).username,
            verb: line.verb,
            resource: line.object_ref.resource,
            subresource: line.object_ref.subresource,
            namespace: line.object_ref.namespace,
            name: line.object_ref.name,
            code: line.response_status.code,
            at: line.stage_timestamp,
        }
    }
}
