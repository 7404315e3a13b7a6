//! An object as the API server has it, without what nobody here needs: managed fields, annotations, most of a status.

use super::GENERATED;
use crate::apply::{TOKEN_KEY, is_token};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube_client::api::DynamicObject;
use serde_json::{Map, Value, json};
use smartflow_compile::{Kind, ObjectRef};
use smartflow_crds::CREDENTIAL_LABEL;
use smartflow_snapshot::{ObjectName, TokenHash};
use std::fmt;
use zeroize::Zeroizing;

/// An object, as it was seen.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Which object.
    pub id: ObjectRef,
    /// Its identity: one that is deleted and made again has another.
    pub uid: Box<str>,
    /// Counts changes of its spec; 0 for kinds that do not count.
    pub generation: i64,
    /// What a write must name to be refused when somebody else wrote meanwhile.
    pub version: Box<str>,
    /// It is being deleted, and waits for somebody's finalizer.
    pub leaving: bool,
    /// What it says.
    pub body: Body,
}

/// What an object says.
#[derive(Clone)]
pub enum Body {
    /// A manifest for `compile`, and the status that is there now.
    Declared {
        /// Without status.
        manifest: Value,
        /// As it stands.
        status: Value,
    },
    /// A Secret that the operator made.
    Token(TokenSecret),
}

/// Never shows what a Secret holds.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Declared { status, .. } => {
                f.debug_struct("Declared").field("status", status).finish_non_exhaustive()
            }
            Self::Token(secret) => f.debug_tuple("Token").field(secret).finish(),
        }
    }
}

/// What is remembered of a Secret that the operator made: never a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSecret {
    /// Identity of the VirtualKey that owns it.
    pub owner: Option<Box<str>>,
    /// Hash of its token; `None` = somebody took it out, or wrote something else there.
    pub token: Option<TokenHash>,
    /// First characters of the token, to recognise it by.
    pub prefix: Box<str>,
}

/// An object that makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It lacks what every object has.
    #[error("{kind}: metadata.{field} is missing")]
    Missing {
        /// Its kind.
        kind: &'static str,
        /// What it lacks.
        field: &'static str,
    },
}

/// Characters of a token that may be shown.
const SHOWN: usize = 10;

impl Seen {
    /// Takes from `object` what is needed.
    ///
    /// # Errors
    /// When it has no name or identity.
    pub fn of(kind: Kind, object: DynamicObject) -> Result<Self, Unreadable> {
        let id = id(kind, &object)?;
        let missing = |field| Unreadable::Missing { kind: kind.as_str(), field };
        let DynamicObject { metadata, data, .. } = object;
        let uid = metadata.uid.as_deref().ok_or_else(|| missing("uid"))?.into();
        let version = metadata.resource_version.as_deref().ok_or_else(|| missing("resourceVersion"))?.into();
        let generation = metadata.generation.unwrap_or_default();
        let leaving = metadata.deletion_timestamp.is_some();
        let generated = metadata.labels.as_ref().and_then(|l| l.get(CREDENTIAL_LABEL));
        let body = if kind == Kind::Secret && generated.is_some_and(|v| v == GENERATED) {
            Body::Token(TokenSecret::of(&metadata, &data))
        } else {
            declared(kind, &metadata, data)
        };
        Ok(Self { id, uid, generation, version, leaving, body })
    }
}

impl TokenSecret {
    /// What a Secret says, whatever its labels.
    pub(crate) fn of(metadata: &ObjectMeta, data: &Value) -> Self {
        let owners = metadata.owner_references.iter().flatten();
        let owner = owners.into_iter().find(|o| o.controller == Some(true) && o.kind == "VirtualKey");
        let encoded = data.pointer(&format!("/data/{TOKEN_KEY}")).and_then(Value::as_str);
        let token = encoded.and_then(|text| STANDARD.decode(text).ok()).map(Zeroizing::new);
        Self::new(owner.map(|o| o.uid.as_str().into()), &token.unwrap_or_default())
    }

    /// What is remembered of `token`. Somebody may have written something else into the Secret: that is no token, and
    /// nothing of it is shown.
    pub(crate) fn new(owner: Option<Box<str>>, token: &[u8]) -> Self {
        let token = Some(token).filter(|token| is_token(token));
        let shown = token.and_then(|token| token.get(..SHOWN)).map(String::from_utf8_lossy);
        Self { owner, token: token.map(TokenHash::of), prefix: shown.unwrap_or_default().into() }
    }
}

/// Which object it is.
pub(super) fn id(kind: Kind, object: &DynamicObject) -> Result<ObjectRef, Unreadable> {
    let missing = |field| Unreadable::Missing { kind: kind.as_str(), field };
    let name = object.metadata.name.as_deref().ok_or_else(|| missing("name"))?;
    let namespace = match kind {
        Kind::Namespace => "",
        _ => object.metadata.namespace.as_deref().ok_or_else(|| missing("namespace"))?,
    };
    Ok(ObjectRef { kind, name: ObjectName::new(namespace, name) })
}

fn declared(kind: Kind, from: &ObjectMeta, mut data: Value) -> Body {
    let mut metadata = Map::new();
    metadata.insert("name".to_owned(), json!(from.name));
    if let Some(namespace) = &from.namespace {
        metadata.insert("namespace".to_owned(), json!(namespace));
    }
    if let Some(created) = &from.creation_timestamp {
        metadata.insert("creationTimestamp".to_owned(), json!(created));
    }
    // Of our own kinds no label means anything; of these two, all may.
    if let (Kind::Secret | Kind::Namespace, Some(labels)) = (kind, &from.labels) {
        metadata.insert("labels".to_owned(), json!(labels));
    }
    let status = data.get_mut("status").map(Value::take).unwrap_or_default();
    let mut manifest = Map::new();
    manifest.insert("apiVersion".to_owned(), json!(kind.api_version()));
    manifest.insert("kind".to_owned(), json!(kind.as_str()));
    manifest.insert("metadata".to_owned(), Value::Object(metadata));
    match (kind, data) {
        (Kind::Namespace, _) => {}
        (Kind::Secret, mut data) => {
            manifest.insert("data".to_owned(), data.get_mut("data").map(Value::take).unwrap_or(json!({})));
        }
        // Whatever else there is belongs to a newer definition than ours: `compile` says so.
        (_, Value::Object(fields)) => manifest.extend(fields.into_iter().filter(|(k, _)| k != "status")),
        _ => {}
    }
    Body::Declared { manifest: Value::Object(manifest), status }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> DynamicObject {
        serde_json::from_value(value).unwrap()
    }

    fn metadata(more: Value) -> Value {
        let mut metadata = json!({ "name": "a", "namespace": "n", "uid": "u1", "resourceVersion": "7" });
        metadata.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        metadata
    }

    #[test]
    fn what_nobody_needs_is_dropped_and_fields_that_are_not_known_stay() {
        let more = json!({
            "generation": 3,
            "annotations": { "kubectl.kubernetes.io/last-applied-configuration": "{}" },
            "labels": { "team": "x" },
            "managedFields": [{ "manager": "kubectl" }],
        });
        let spec = json!({ "models": ["*"], "ofTomorrow": 1 });
        let key = json!({ "metadata": metadata(more), "spec": spec, "status": { "observedGeneration": 2 } });
        let seen = Seen::of(Kind::VirtualKey, object(key)).unwrap();
        assert_eq!((seen.generation, &*seen.uid, &*seen.version), (3, "u1", "7"));
        let Body::Declared { manifest, status } = seen.body else { panic!("not declared") };
        assert_eq!(status, json!({ "observedGeneration": 2 }));
        assert_eq!(
            manifest,
            json!({
                "apiVersion": "smartflow.dev/v1alpha1", "kind": "VirtualKey",
                "metadata": { "name": "a", "namespace": "n" }, "spec": spec,
            })
        );
    }

    #[test]
    fn of_a_generated_token_only_its_hash_is_kept() {
        let token = format!("sk-sf-{}", "ab".repeat(24));
        let more = json!({
            "labels": { CREDENTIAL_LABEL: GENERATED },
            "ownerReferences": [{ "apiVersion": "smartflow.dev/v1alpha1", "kind": "VirtualKey", "name": "a", "uid": "k1", "controller": true }],
        });
        let data = json!({ "token": STANDARD.encode(&token) });
        let seen =
            Seen::of(Kind::Secret, object(json!({ "metadata": metadata(more), "data": data }))).unwrap();
        let shown = format!("{seen:?}");
        let Body::Token(secret) = seen.body else { panic!("{shown}") };
        assert_eq!(secret.owner.as_deref(), Some("k1"));
        assert_eq!(secret.token, Some(TokenHash::of(token.as_bytes())));
        assert_eq!(&*secret.prefix, "sk-sf-abab");
        assert!(!shown.contains(&token));
    }

    #[test]
    fn what_somebody_wrote_into_the_secret_of_a_token_is_none_and_not_shown() {
        let good = format!("sk-sf-{}", "ab".repeat(24));
        let (short, long, upper) = (&good[..53], format!("{good}0"), good.to_uppercase());
        for bad in ["", "hunter2abc", short, &long, &upper, &good.replace("sk-sf", "sk-xx")] {
            let secret = TokenSecret::new(None, bad.as_bytes());
            assert_eq!((secret.token, &*secret.prefix), (None, ""), "{bad}");
        }
        assert_eq!(&*TokenSecret::new(None, good.as_bytes()).prefix, "sk-sf-abab");
    }

    #[test]
    fn an_object_without_identity_is_refused_with_the_field() {
        let error = Seen::of(Kind::Policy, object(json!({ "metadata": { "name": "p", "namespace": "n" } })));
        assert_eq!(error.unwrap_err().to_string(), "Policy: metadata.uid is missing");
    }
}
