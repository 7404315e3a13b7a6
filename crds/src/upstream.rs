//! How a provider is reached: headers, certificates, addresses.

use crate::SecretRef;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// A header that every call to the provider carries.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// Name of the header, in any case. Credentials, `host`, `content-length`, hop-by-hop and `x-smartflow-*` headers are refused.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"))]
    pub name: String,
    /// Its value: visible ASCII, spaces and tabs.
    #[schemars(length(max = 4096), regex(pattern = r"^[\t -~]*$"))]
    pub value: String,
}

/// What the gateway trusts when it connects.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// PEM certificates of authorities that are trusted beside the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretRef>,
}

/// Which addresses may be connected to.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    /// Allow loopback, link-local and private addresses, which are refused otherwise.
    #[serde(default)]
    pub allow_private: bool,
}
