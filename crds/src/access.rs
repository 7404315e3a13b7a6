//! Who else may use what a namespace offers.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Who may use this object.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    /// Namespaces whose keys may use it. The object's own namespace always may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<NamespaceAccess>,
}

/// A choice of namespaces.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.from == 'Selector') == has(self.selector)")
    .message("selector is needed with from: Selector, and only then").field_path(".selector"))]
pub struct NamespaceAccess {
    /// `Same`: only the object's own namespace. `All`: every namespace. `Selector`: namespaces whose labels match `selector`.
    #[serde(default)]
    pub from: FromNamespaces,
    /// Labels of the namespaces that may use it; needed with `from: Selector`, and only then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

/// Where users of an object may come from.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FromNamespaces {
    /// Only the object's own namespace.
    #[default]
    Same,
    /// Every namespace.
    All,
    /// Namespaces that the selector matches.
    Selector,
}

/// Labels that must all be there.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelector {
    /// Labels and values that a namespace must carry, all of them. `kubernetes.io/metadata.name` selects by name.
    #[schemars(extend("minProperties" = 1, "maxProperties" = 16, "additionalProperties" = { "type": "string", "maxLength": 63 }))]
    pub match_labels: BTreeMap<String, String>,
}
