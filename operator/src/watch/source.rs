//! What is watched.

use super::GENERATED;
use k8s_openapi::api::core::v1;
use kube_client::api::DynamicObject;
use kube_client::{Api, Client};
use kube_core::ApiResource;
use smartflow_compile::Kind;
use smartflow_crds::{CREDENTIAL_LABEL, FallbackChain, LLMProvider, Policy, VirtualKey};
use std::fmt;

/// One watch: a kind, everywhere or in one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// What is watched.
    pub kind: Kind,
    /// Where. `None` = everywhere.
    pub namespace: Option<String>,
}

/// All watches that are needed. With `namespaces`, only what Roles in them can allow: Namespaces, which belong to the
/// cluster, are then not looked at, so that selectors know their names only.
#[must_use]
pub fn sources(namespaces: &[String]) -> Vec<Source> {
    if namespaces.is_empty() {
        return Kind::ALL.map(|kind| Source { kind, namespace: None }).into();
    }
    let kinds = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Namespace);
    kinds
        .flat_map(|kind| namespaces.iter().map(move |n| Source { kind, namespace: Some(n.clone()) }))
        .collect()
}

impl Source {
    pub(super) fn api(&self, client: &Client) -> Api<DynamicObject> {
        let resource = resource(self.kind);
        match &self.namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        }
    }

    /// Which objects of the kind are watched; `None` = all.
    pub(super) fn selector(&self) -> Option<String> {
        (self.kind == Kind::Secret).then(|| format!("{CREDENTIAL_LABEL} in (true, {GENERATED})"))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} in {namespace}", self.kind.as_str()),
            None => f.write_str(self.kind.as_str()),
        }
    }
}

/// How the API server calls a kind.
#[must_use]
pub fn resource(kind: Kind) -> ApiResource {
    match kind {
        Kind::LLMProvider => ApiResource::erase::<LLMProvider>(&()),
        Kind::FallbackChain => ApiResource::erase::<FallbackChain>(&()),
        Kind::VirtualKey => ApiResource::erase::<VirtualKey>(&()),
        Kind::Policy => ApiResource::erase::<Policy>(&()),
        Kind::Secret => ApiResource::erase::<v1::Secret>(&()),
        Kind::Namespace => ApiResource::erase::<v1::Namespace>(&()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_of_some_namespaces_are_enough_when_only_those_are_served() {
        let some = sources(&["a".to_owned(), "b".to_owned()]);
        assert_eq!(some.len(), 10);
        assert!(some.iter().all(|s| s.namespace.is_some() && s.kind != Kind::Namespace));
        assert_eq!(sources(&[]).len(), Kind::ALL.len());
    }

    #[test]
    fn only_secrets_that_are_open_as_credentials_or_ours_are_asked_for() {
        let of = |kind| Source { kind, namespace: None }.selector();
        assert_eq!(of(Kind::Secret).as_deref(), Some("smartflow.dev/credential in (true, generated)"));
        assert_eq!(of(Kind::VirtualKey), None);
    }
}
