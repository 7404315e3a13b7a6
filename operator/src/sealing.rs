//! The keys that everything published is sealed with, as text: from a file, or from a Secret that is made once.

use crate::lease::Term;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube_client::api::PostParams;
use kube_client::{Api, Client};
use rand::TryRngCore;
use rand::rngs::OsRng;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

/// The field of the Secret that the keys are in.
pub const FIELD: &str = "key";
/// Bytes of a key.
const LENGTH: usize = 32;
/// Longest that the API server may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// The keys, one a line.
pub type Keys = Zeroizing<String>;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum SealingError {
    /// The file cannot be read.
    #[error("--sealing-key-file {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It has no text under [`FIELD`].
    #[error(
        "Secret {name} has no text under {FIELD}. Fix: delete it, and a new one is made; or store a key there."
    )]
    Empty {
        /// Which.
        name: String,
    },
    /// The API server did not do as asked.
    #[error("Secret {name} with the sealing key: {source}")]
    Api {
        /// Which.
        name: String,
        /// What it said.
        source: Box<kube_client::Error>,
    },
    /// The API server did not answer in time.
    #[error("Secret {name} with the sealing key: no answer within {ANSWER:?}")]
    Silence {
        /// Which.
        name: String,
    },
    /// The operating system gives no random numbers.
    #[error("no random numbers for a sealing key: {0}")]
    Random(rand::rand_core::OsError),
}

/// The keys in `path`.
///
/// # Errors
/// When it cannot be read as text.
pub fn from_file(path: &Path) -> Result<Keys, SealingError> {
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    text.map_err(|source| SealingError::File { path: path.to_owned(), source })
}

/// The keys in Secret `name`, once there is one. Only a replica that has the Lease makes it, and never over one that is
/// there; the others get `None` until it is made.
///
/// # Errors
/// When the API server refuses, or what is there is not text.
pub async fn from_secret(
    client: &Client,
    namespace: &str,
    name: &str,
    term: Option<Term>,
) -> Result<Option<Keys>, SealingError> {
    let answer = tokio::time::timeout(ANSWER, look_or_make(client, namespace, name, term)).await;
    answer.map_err(|_| SealingError::Silence { name: name.to_owned() })?
}

async fn look_or_make(
    client: &Client,
    namespace: &str,
    name: &str,
    term: Option<Term>,
) -> Result<Option<Keys>, SealingError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let failed = |source| SealingError::Api { name: name.to_owned(), source: Box::new(source) };
    if let Some(there) = api.get_opt(name).await.map_err(failed)? {
        return of(&there, name).map(Some);
    }
    if term.is_none_or(|term| term.left(tokio::time::Instant::now()).is_none()) {
        return Ok(None);
    }
    let params = PostParams { field_manager: Some(crate::MANAGER.to_owned()), ..PostParams::default() };
    match api.create(&params, &fresh(name)?).await {
        Ok(made) => of(&made, name).map(Some),
        Err(kube_client::Error::Api(status)) if status.code == 409 => {
            of(&api.get(name).await.map_err(failed)?, name).map(Some)
        }
        Err(source) => Err(failed(source)),
    }
}

fn fresh(name: &str) -> Result<Secret, SealingError> {
    let mut key = Zeroizing::new([0_u8; LENGTH]);
    OsRng.try_fill_bytes(&mut *key).map_err(SealingError::Random)?;
    let text = Zeroizing::new(STANDARD.encode(*key));
    Ok(Secret {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        type_: Some("Opaque".to_owned()),
        data: Some(BTreeMap::from([(FIELD.to_owned(), ByteString(text.as_bytes().to_vec()))])),
        ..Secret::default()
    })
}

fn of(secret: &Secret, name: &str) -> Result<Keys, SealingError> {
    let bytes = secret.data.as_ref().and_then(|data| data.get(FIELD)).map(|b| b.0.clone());
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).map(Zeroizing::new);
    text.filter(|t| !t.is_empty()).ok_or_else(|| SealingError::Empty { name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::{Kept, client};
    use std::sync::{Arc, Mutex};
    use tokio::time::Instant;

    fn term() -> Option<Term> {
        Some(Term { number: 1, epoch: 1, until: Instant::now() + Duration::from_secs(9) })
    }

    #[tokio::test]
    async fn only_the_holder_of_the_lease_makes_it_and_only_once() {
        let kept: Arc<Mutex<Kept>> = Arc::default();
        let store = kept.clone();
        let client = client(move |asked| store.lock().unwrap().answer(&asked));
        let ask = async |term| from_secret(&client, "n", "s", term).await.unwrap();
        assert_eq!(ask(None).await, None);
        let over = Term { until: Instant::now(), ..term().unwrap() };
        assert_eq!(ask(Some(over)).await, None);
        let key = ask(term()).await.expect("it was made");
        assert_eq!(STANDARD.decode(key.as_bytes()).unwrap().len(), LENGTH);
        assert_eq!(ask(None).await, Some(key.clone()));
        assert_eq!(ask(term()).await, Some(key));
        assert_eq!(kept.lock().unwrap().writes, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_api_server_that_says_nothing_is_not_waited_for() {
        let client = crate::scripted::silent();
        let silence = from_secret(&client, "n", "s", None);
        let silence = tokio::time::timeout(2 * ANSWER, silence).await.expect("it does not wait for ever");
        assert!(matches!(silence, Err(SealingError::Silence { name }) if name == "s"));
    }

    #[tokio::test]
    async fn what_is_no_key_is_refused_and_left_alone() {
        let object = serde_json::json!({ "metadata": { "name": "s" }, "data": { "other": "YWJj" } });
        let mut kept = Kept { object: Some(object), writes: 0 };
        let client = client(move |asked| kept.answer(&asked));
        let error = from_secret(&client, "n", "s", term()).await.unwrap_err();
        assert!(matches!(error, SealingError::Empty { name } if name == "s"));
    }
}
