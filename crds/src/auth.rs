//! How the gateway authenticates to a provider.

use crate::SecretRef;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// How calls to the provider are authenticated: exactly one way.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
        "(has(self.apiKey) ? 1 : 0) + (has(self.passthrough) ? 1 : 0) + (has(self.none) ? 1 : 0) == 1",
    ).message("set exactly one of apiKey, passthrough, none"))]
pub struct Auth {
    /// An API key from a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<ApiKey>,
    /// The caller brings the provider's credential in `x-smartflow-upstream-authorization`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passthrough: Option<Passthrough>,
    /// The provider asks for no credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub none: Option<NoCredential>,
}

/// An API key from a Secret.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    /// Where the key is.
    pub secret_ref: SecretRef,
    /// Header that carries the key. Default: what the catalog says of the provider, else `authorization`; with `anthropic-compatible`, `x-api-key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"))]
    pub header: Option<String>,
    /// What precedes the key in that header. Default: what the catalog says of the provider, else `Bearer ` (with the space); with `anthropic-compatible`, nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), regex(pattern = r"^[ -~]*$"))]
    pub prefix: Option<String>,
}

/// Has no settings.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct Passthrough {}

/// Has no settings.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct NoCredential {}
