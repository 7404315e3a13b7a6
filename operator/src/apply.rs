//! Child objects: the Secret with the token of a key that is generated. It is created and never overwritten: one that is
//! there already and is ours was made by somebody who was interrupted, and is taken as it is.

use crate::gather::Wanted;
use crate::watch::{GENERATED, TokenSecret};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube_client::api::{DynamicObject, PostParams};
use kube_client::{Api, Client};
use rand::TryRngCore;
use rand::rngs::OsRng;
use smartflow_compile::Kind;
use smartflow_crds::CREDENTIAL_LABEL;
use smartflow_snapshot::ObjectName;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;
use zeroize::Zeroizing;

/// The field of the Secret that the token is in.
pub const TOKEN_KEY: &str = "token";
/// `type` of such a Secret.
const TYPE: &str = "smartflow.dev/virtual-key";
/// What every token begins with.
const PREFIX: &str = "sk-sf-";
/// Random bytes of a token.
const RANDOM: usize = 24;
/// Longest that the API server may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// What became of a Secret that was to be made.
#[derive(Debug, PartialEq, Eq)]
pub enum Made {
    /// It is there and ours; this is what it says.
    Ours(TokenSecret),
    /// It is there and belongs to somebody else.
    Foreign,
}

/// Why a Secret was not made.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The API server refused it.
    #[error("Secret {secret} for a generated token: {source}")]
    Api {
        /// Which.
        secret: ObjectName,
        /// What it said.
        source: Box<kube_client::Error>,
    },
    /// The API server did not answer in time.
    #[error("Secret {secret} for a generated token: no answer in time")]
    Silence {
        /// Which.
        secret: ObjectName,
    },
    /// It was there, and then it was not.
    #[error("Secret {secret} for a generated token: it was deleted meanwhile")]
    Gone {
        /// Which.
        secret: ObjectName,
    },
    /// The operating system gives no random numbers.
    #[error("no random numbers for a token: {0}")]
    Random(rand::rand_core::OsError),
}

/// Makes the Secret with a new token for VirtualKey `key`. `within` is how long this replica may still write.
///
/// # Errors
/// When it could not be made and none is there.
pub async fn make(
    client: Client,
    key: &ObjectName,
    wanted: &Wanted,
    within: Duration,
) -> Result<Made, ApplyError> {
    let silence = || ApplyError::Silence { secret: wanted.secret.clone() };
    let work = create_or_look(client, key, wanted);
    tokio::time::timeout(within.min(ANSWER), work).await.map_err(|_| silence())?
}

async fn create_or_look(client: Client, key: &ObjectName, wanted: &Wanted) -> Result<Made, ApplyError> {
    let secret = &wanted.secret;
    let failed = |source| ApplyError::Api { secret: secret.clone(), source: Box::new(source) };
    // Looking first keeps a Secret that stands in the way from being written to again and again.
    if let Some(made) = look(&client, wanted).await.map_err(failed)? {
        return Ok(made);
    }
    let api: Api<Secret> = Api::namespaced(client.clone(), &secret.namespace);
    let params = PostParams { field_manager: Some(crate::MANAGER.to_owned()), ..PostParams::default() };
    let token = token().map_err(ApplyError::Random)?;
    match api.create(&params, &manifest(key, wanted, &token)).await {
        Ok(_) => Ok(Made::Ours(TokenSecret::new(Some(wanted.owner.clone()), token.as_bytes()))),
        // Another replica was faster, or an attempt whose answer was lost.
        Err(kube_client::Error::Api(status)) if status.code == 409 => {
            let made = look(&client, wanted).await.map_err(failed)?;
            made.ok_or(ApplyError::Gone { secret: secret.clone() })
        }
        Err(source) => Err(failed(source)),
    }
}

async fn look(client: &Client, wanted: &Wanted) -> kube_client::Result<Option<Made>> {
    let ObjectName { namespace, name } = &wanted.secret;
    let resource = crate::watch::resource(Kind::Secret);
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let Some(there) = api.get_opt(name).await? else { return Ok(None) };
    let there = TokenSecret::of(&there.metadata, &there.data);
    Ok(Some(if there.owner.as_ref() == Some(&wanted.owner) { Made::Ours(there) } else { Made::Foreign }))
}

fn manifest(key: &ObjectName, wanted: &Wanted, token: &str) -> Secret {
    let owner = OwnerReference {
        api_version: Kind::VirtualKey.api_version().to_owned(),
        kind: Kind::VirtualKey.as_str().to_owned(),
        name: key.name.to_string(),
        uid: wanted.owner.to_string(),
        controller: Some(true),
        block_owner_deletion: None,
    };
    let labels = [(CREDENTIAL_LABEL, GENERATED), ("app.kubernetes.io/managed-by", crate::MANAGER)];
    Secret {
        metadata: ObjectMeta {
            name: Some(wanted.secret.name.to_string()),
            namespace: Some(wanted.secret.namespace.to_string()),
            labels: Some(labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into()),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        type_: Some(TYPE.to_owned()),
        // Another token is made by deleting it; whoever wants one of their own names a Secret of their own.
        immutable: Some(true),
        data: Some(BTreeMap::from([(TOKEN_KEY.to_owned(), ByteString(token.as_bytes().to_vec()))])),
        ..Secret::default()
    }
}

/// A new token: `sk-sf-` and 48 hexadecimal digits.
fn token() -> Result<Zeroizing<String>, rand::rand_core::OsError> {
    let mut bytes = Zeroizing::new([0_u8; RANDOM]);
    OsRng.try_fill_bytes(&mut *bytes)?;
    let mut token = Zeroizing::new(String::with_capacity(PREFIX.len() + 2 * RANDOM));
    token.push_str(PREFIX);
    for byte in bytes.iter() {
        // Writing to a String cannot fail.
        let _ = write!(token, "{byte:02x}");
    }
    Ok(token)
}

/// True for what [`make`] would have made.
pub(crate) fn is_token(text: &[u8]) -> bool {
    let digits = text.strip_prefix(PREFIX.as_bytes());
    let digit = |b: &u8| b.is_ascii_digit() || (b'a'..=b'f').contains(b);
    digits.is_some_and(|digits| digits.len() == 2 * RANDOM && digits.iter().all(digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_their_form_and_differ() {
        let (a, b) = (token().unwrap(), token().unwrap());
        assert_ne!(*a, *b);
        assert!(is_token(a.as_bytes()) && a.len() == "sk-sf-".len() + 48);
    }
}
