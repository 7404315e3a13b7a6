//! Which model name leads where. Rules: resources.md, "Names and grants".

use crate::{Model, ObjectName, Provider};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Resolves model names as callers write them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Names {
    /// Names that a namespace's own objects offer. `None` = two objects claim it (`NameClash`): 404 for all.
    #[serde(serialize_with = "in_order")]
    pub by_namespace: BTreeMap<Arc<str>, Arc<Offered>>,
    /// Namespaces searched after the key's own, in order. Their providers' `access` must allow the key's namespace.
    pub platform: Box<[Arc<str>]>,
}

/// Names that one namespace offers; `None` = two objects claim it.
pub type Offered = HashMap<Arc<str>, Option<Target>>;

/// Equal maps give equal text.
fn in_order<S: serde::Serializer>(map: &BTreeMap<Arc<str>, Arc<Offered>>, s: S) -> Result<S::Ok, S::Error> {
    s.collect_map(map.iter().map(|(place, names)| (place, names.iter().collect::<BTreeMap<_, _>>())))
}

/// A model of a provider.
#[derive(Clone, Debug, Serialize)]
pub struct Target {
    /// Who serves it.
    #[serde(serialize_with = "provider_name")]
    pub provider: Arc<Provider>,
    /// Which of the provider's models.
    #[serde(serialize_with = "model_name")]
    pub model: Arc<Model>,
}

fn provider_name<S: serde::Serializer>(provider: &Arc<Provider>, s: S) -> Result<S::Ok, S::Error> {
    ObjectName::serialize(&provider.name, s)
}

fn model_name<S: serde::Serializer>(model: &Arc<Model>, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&model.name)
}

impl Names {
    /// Where `name`, written by a caller whose key lives in `namespace`, leads. `None`: as if it were not there.
    #[must_use]
    pub fn resolve(&self, namespace: &str, name: &str) -> Option<&Target> {
        let own =
            std::iter::once(namespace).chain(self.platform.iter().map(|p| &**p).filter(|p| *p != namespace));
        for place in own {
            match self.by_namespace.get(place).and_then(|names| names.get(name)) {
                Some(Some(target)) if place == namespace || target.provider.access.contains(namespace) => {
                    return Some(target);
                }
                // A clash hides the name, also the same name in a later namespace: which one is meant is unclear.
                Some(None) => return None,
                // Not offered to this namespace: as if it were not there.
                Some(Some(_)) | None => {}
            }
        }
        None
    }

    /// All names that a caller in `namespace` can resolve, sorted, each with its target.
    #[must_use]
    pub fn visible(&self, namespace: &str) -> BTreeMap<&str, &Target> {
        let places = std::iter::once(namespace).chain(self.platform.iter().map(|p| &**p));
        let names = places.filter_map(|p| self.by_namespace.get(p)).flat_map(|names| names.keys());
        names.filter_map(|n| Some((&**n, self.resolve(namespace, n)?))).collect()
    }
}
