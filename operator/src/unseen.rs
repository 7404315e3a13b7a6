//! Secrets that objects refer to and that no watch showed: they are not there, or they lack the label that opens them as
//! credentials, which is what the watch selects by. Their names are looked up, never their values, so that it can be said
//! which of the two it is.

use crate::watch::{Body, Seen};
use k8s_openapi::api::core::v1::Secret;
use kube_client::{Api, Client};
use serde_json::{Value, json};
use smartflow_compile::ObjectRef;
use smartflow_snapshot::ObjectName;
use std::collections::BTreeSet;
use std::time::Duration;

/// Longest that the API server may take to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// Look-ups at a time.
const AT_ONCE: usize = 8;
/// Names that are known at most; of further ones both causes are named.
const MOST: usize = 1000;

/// Which are looked for, and which were found.
#[derive(Debug, Default)]
pub struct Unseen {
    wanted: BTreeSet<ObjectName>,
    looking: BTreeSet<ObjectName>,
    /// Not there when it was looked.
    absent: BTreeSet<ObjectName>,
    /// There without the label.
    there: BTreeSet<ObjectName>,
}

impl Unseen {
    /// These are referred to.
    pub fn want<'a>(&mut self, secrets: impl Iterator<Item = &'a ObjectName>) {
        for secret in secrets {
            let known = self.looking.contains(secret) || self.absent.contains(secret);
            if !known && self.wanted.len() + self.absent.len() + self.there.len() < MOST {
                self.wanted.insert(secret.clone());
            }
        }
    }

    /// The next to look for; [`Unseen::found`] or [`Unseen::failed`] must follow.
    pub fn take(&mut self) -> Option<ObjectName> {
        if self.looking.len() >= AT_ONCE {
            return None;
        }
        let secret = self.wanted.pop_first()?;
        self.looking.insert(secret.clone());
        Some(secret)
    }

    /// What a look showed; returns whether it is there where that is new.
    pub fn found(&mut self, secret: &ObjectName, is_there: bool) -> Option<bool> {
        // A watch may have shown it meanwhile.
        let asked = self.looking.remove(secret);
        if !asked {
            return None;
        }
        if is_there {
            self.absent.remove(secret);
            self.there.insert(secret.clone()).then_some(true)
        } else {
            self.absent.insert(secret.clone());
            self.there.remove(secret).then_some(false)
        }
    }

    /// It could not be looked: both causes are named until it is looked again.
    pub fn failed(&mut self, secret: &ObjectName) {
        if self.looking.remove(secret) && !self.there.contains(secret) {
            self.absent.insert(secret.clone());
        }
    }

    /// A watch showed it.
    pub fn forget(&mut self, secret: &ObjectName) {
        for names in [&mut self.wanted, &mut self.looking, &mut self.absent, &mut self.there] {
            names.remove(secret);
        }
    }

    /// Looks for all of them again that are still `used`; returns those that nobody needs to know of any more.
    pub fn again(&mut self, used: impl Fn(&ObjectName) -> bool) -> Vec<ObjectName> {
        self.wanted.extend(std::mem::take(&mut self.absent).into_iter().filter(&used));
        let unused: Vec<ObjectName> = self.there.iter().filter(|secret| !used(secret)).cloned().collect();
        self.there.retain(used);
        self.wanted.extend(self.there.iter().cloned());
        unused
    }
}

/// Whether a Secret is there. Its value is not read.
///
/// # Errors
/// When the API server does not say.
pub async fn look(client: Client, secret: &ObjectName) -> Result<bool, String> {
    let api: Api<Secret> = Api::namespaced(client, &secret.namespace);
    let found = tokio::time::timeout(ANSWER, api.get_metadata_opt(&secret.name)).await;
    let found = found.map_err(|_| "no answer in time".to_owned())?;
    Ok(found.map_err(|error| error.to_string())?.is_some())
}

/// A Secret of which no more is known than that it is there and has no label.
#[must_use]
pub fn unlabelled(id: ObjectRef) -> Seen {
    let manifest = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": &*id.name.name, "namespace": &*id.name.namespace },
    });
    let body = Body::Declared { manifest, status: Value::Null };
    Seen { id, uid: "".into(), generation: 0, version: "".into(), leaving: false, body }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> ObjectName {
        ObjectName::new("n", name)
    }

    #[test]
    fn each_is_looked_for_once_until_it_is_looked_again() {
        let mut unseen = Unseen::default();
        unseen.want([name("a")].iter());
        assert_eq!(unseen.take(), Some(name("a")));
        unseen.want([name("a")].iter());
        assert_eq!(unseen.take(), None, "it is being looked for");
        assert_eq!(unseen.found(&name("a"), false), None);
        unseen.want([name("a")].iter());
        assert_eq!(unseen.take(), None, "it is not there");
        assert_eq!(unseen.again(|_| true), []);
        assert_eq!(unseen.take(), Some(name("a")));
        assert_eq!(unseen.found(&name("a"), true), Some(true));
        unseen.again(|_| true);
        assert_eq!(unseen.take(), Some(name("a")));
        assert_eq!(unseen.found(&name("a"), false), Some(false), "it is gone");
    }

    #[test]
    fn what_a_watch_showed_meanwhile_counts() {
        let mut unseen = Unseen::default();
        unseen.want([name("a")].iter());
        unseen.take();
        unseen.forget(&name("a"));
        assert_eq!(unseen.found(&name("a"), true), None);
    }

    #[test]
    fn what_nobody_refers_to_is_forgotten_and_there_is_a_limit() {
        let mut unseen = Unseen::default();
        unseen.want([name("a")].iter());
        unseen.take();
        unseen.found(&name("a"), true);
        assert_eq!(unseen.again(|_| false), [name("a")]);
        let many: Vec<ObjectName> = (0..2 * MOST).map(|i| name(&i.to_string())).collect();
        unseen.want(many.iter());
        assert_eq!(unseen.wanted.len(), MOST);
        assert_eq!(std::iter::from_fn(|| unseen.take()).count(), AT_ONCE);
    }
}
