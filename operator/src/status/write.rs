//! Writes one status, unless somebody wrote the object meanwhile.

use crate::watch::resource;
use kube_client::api::{DynamicObject, Patch, PatchParams};
use kube_client::{Api, Client};
use serde_json::{Value, json};
use smartflow_compile::ObjectRef;
use std::time::Duration;

use super::Outcome;

/// Longest that the API server may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// Why a status was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The API server refused it.
    #[error("status of {id}: {source}")]
    Api {
        /// Whose.
        id: ObjectRef,
        /// What it said.
        source: Box<kube_client::Error>,
    },
    /// The API server did not answer in time.
    #[error("status of {id}: no answer within {within:?}")]
    Silence {
        /// Whose.
        id: ObjectRef,
        /// How long was waited.
        within: Duration,
    },
}

/// Writes `status` of `id` if it still is as `version` says. `within` is how long this replica may still write.
///
/// # Errors
/// When it could not be written, and the object neither changed nor went.
pub async fn write(
    client: Client,
    id: &ObjectRef,
    version: &str,
    status: Value,
    within: Duration,
) -> Result<Outcome, WriteError> {
    let api: Api<DynamicObject> = Api::namespaced_with(client, &id.name.namespace, &resource(id.kind));
    let patch = json!({ "metadata": { "resourceVersion": version }, "status": status });
    let params = PatchParams { field_manager: Some(crate::MANAGER.to_owned()), ..PatchParams::default() };
    let patch = Patch::Merge(&patch);
    let request = api.patch_status(&id.name.name, &params, &patch);
    let within = within.min(ANSWER);
    match tokio::time::timeout(within, request).await {
        Err(_) => Err(WriteError::Silence { id: id.clone(), within }),
        Ok(Ok(_)) => Ok(Outcome::Done),
        Ok(Err(kube_client::Error::Api(status))) if status.code == 404 => Ok(Outcome::Done),
        Ok(Err(kube_client::Error::Api(status))) if status.code == 409 => Ok(Outcome::Conflict),
        Ok(Err(source)) => Err(WriteError::Api { id: id.clone(), source: Box::new(source) }),
    }
}
