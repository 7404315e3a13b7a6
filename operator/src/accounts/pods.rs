//! Which pods there are: what one that is gone held is forfeited, so that nothing is held for ever (ledger.md L5a).

use k8s_openapi::api::core::v1::Pod;
use kube_client::api::ListParams;
use kube_client::{Api, Client};
use smartflow_ledger::PodId;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// How often is looked.
const EACH: Duration = Duration::from_secs(10);
/// Longest that the API server may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// A pod that is gone from the API and silent for so long is no more.
const GONE: Duration = Duration::from_secs(10);

/// What the API server says of the pods in the operator's namespace.
pub struct Pods {
    api: Api<Pod>,
    there: BTreeSet<PodId>,
    /// Those that were there at some time.
    seen: BTreeSet<PodId>,
    next: Instant,
}

impl Pods {
    /// Of this namespace.
    #[must_use]
    pub fn new(client: Client, namespace: &str) -> Self {
        let (there, seen) = (BTreeSet::new(), BTreeSet::new());
        Self { api: Api::namespaced(client, namespace), there, seen, next: Instant::now() }
    }

    /// Looks when it is time to; true when it looked and was told.
    pub async fn look(&mut self) -> bool {
        if Instant::now() < self.next {
            return false;
        }
        self.next = Instant::now() + EACH;
        let params = ListParams::default();
        let list = match tokio::time::timeout(ANSWER, self.api.list_metadata(&params)).await {
            Ok(Ok(list)) => list,
            Ok(Err(error)) => {
                tracing::warn!(%error, "pods cannot be listed: what gateways that are gone held stays held");
                return false;
            }
            Err(_) => return false,
        };
        self.there = list.items.iter().filter_map(|pod| id(pod.metadata.uid.as_deref()?)).collect();
        self.seen.extend(&self.there);
        true
    }

    /// True when a pod that was silent for so long is gone. `lease` is how long it could spend what it held without a
    /// word; whoever is not of this cluster is waited for twice as long.
    #[must_use]
    pub fn is_gone(&self, pod: PodId, silent: Duration, lease: Duration) -> bool {
        let patience = if self.seen.contains(&pod) { GONE } else { lease * 2 };
        !self.there.contains(&pod) && silent > patience
    }
}

/// A UID as Kubernetes writes it.
fn id(uid: &str) -> Option<PodId> {
    let hex: String = uid.chars().filter(|c| *c != '-').collect();
    (hex.len() == 32).then(|| u128::from_str_radix(&hex, 16).ok().map(PodId))?
}
