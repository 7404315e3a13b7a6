//! Which model name leads where. Rules: resources.md, "Names and grants".

use crate::{Chain, Model, ObjectName, Provider};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Resolves model names as callers write them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Names {
    /// Names that a namespace's own objects offer.
    pub by_namespace: BTreeMap<Arc<str>, Arc<Offered>>,
    /// Namespaces searched after the key's own, in order. Their providers' `access` must allow the key's namespace.
    pub platform: Box<[Arc<str>]>,
}

/// Names that one namespace offers, by level. `None` = two objects claim it (`NameClash`): 404 for all.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Offered {
    /// Names of chains. A name that is also somebody's `provider/model` is not among them.
    #[serde(skip_serializing_if = "HashMap::is_empty", serialize_with = "chains_in_order")]
    pub chains: HashMap<Arc<str>, Option<Arc<Chain>>>,
    /// Names and aliases of models, and `provider/model`.
    #[serde(skip_serializing_if = "HashMap::is_empty", serialize_with = "in_order")]
    pub models: HashMap<Arc<str>, Option<Target>>,
    /// Beginnings of names that lead to chains.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", serialize_with = "prefixes_in_order")]
    pub prefixes: BTreeMap<Arc<str>, Option<Arc<Chain>>>,
}

/// Equal maps give equal text.
fn in_order<V: Serialize, S: serde::Serializer>(
    map: &HashMap<Arc<str>, Option<V>>,
    s: S,
) -> Result<S::Ok, S::Error> {
    s.collect_map(map.iter().collect::<BTreeMap<_, _>>())
}

fn chain_name(chain: &Option<Arc<Chain>>) -> Option<&ObjectName> {
    chain.as_ref().map(|c| &c.name)
}

fn chains_in_order<S: serde::Serializer>(
    map: &HashMap<Arc<str>, Option<Arc<Chain>>>,
    s: S,
) -> Result<S::Ok, S::Error> {
    s.collect_map(map.iter().map(|(name, chain)| (name, chain_name(chain))).collect::<BTreeMap<_, _>>())
}

fn prefixes_in_order<S: serde::Serializer>(
    map: &BTreeMap<Arc<str>, Option<Arc<Chain>>>,
    s: S,
) -> Result<S::Ok, S::Error> {
    s.collect_map(map.iter().map(|(prefix, chain)| (format!("{prefix}*"), chain_name(chain))))
}

/// A model of a provider.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
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

/// What a name leads to.
#[derive(Clone, Copy, Debug)]
pub enum Meaning<'a> {
    /// One model of one provider.
    Model(&'a Target),
    /// A chain. Of its targets only those count that serve the key's namespace ([`ChainTarget::serves`]); there is one.
    ///
    /// [`ChainTarget::serves`]: crate::ChainTarget::serves
    Chain(&'a Arc<Chain>),
}

impl<'a> Meaning<'a> {
    /// The object that offers the name.
    #[must_use]
    pub fn owner(&self) -> &'a ObjectName {
        match self {
            Self::Model(target) => &target.provider.name,
            Self::Chain(chain) => &chain.name,
        }
    }
}

/// What one namespace says of a name.
enum Found<'a> {
    Here(Meaning<'a>),
    /// It is claimed, and leads nowhere: nobody else's meaning may take its place.
    Claimed,
    /// Not there, or not offered to who asks: the same for him.
    Absent,
}

impl Offered {
    fn find(&self, place: &str, namespace: &str, name: &str) -> Found<'_> {
        if let Some(chain) = self.chains.get(name)
            && let found @ (Found::Here(_) | Found::Claimed) = through(chain.as_ref(), namespace)
        {
            return found;
        }
        match self.models.get(name) {
            Some(Some(target)) if place == namespace || target.provider.access.contains(namespace) => {
                return Found::Here(Meaning::Model(target));
            }
            // A clash hides the name, also the same name in a later namespace: which one is meant is unclear.
            Some(None) => return Found::Claimed,
            Some(Some(_)) | None => {}
        }
        let mut fitting: Vec<_> = self.prefixes.iter().filter(|(p, _)| name.starts_with(&***p)).collect();
        fitting.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        let mut found = fitting.into_iter().map(|(_, chain)| through(chain.as_ref(), namespace));
        found.find(|f| !matches!(f, Found::Absent)).unwrap_or(Found::Absent)
    }
}

/// What a chain's name leads to for a key of `namespace`; no chain = a clash.
fn through<'a>(chain: Option<&'a Arc<Chain>>, namespace: &str) -> Found<'a> {
    match chain {
        None => Found::Claimed,
        Some(chain) if chain.targets.is_empty() => Found::Claimed,
        Some(chain) if chain.serves(namespace) => Found::Here(Meaning::Chain(chain)),
        Some(_) => Found::Absent,
    }
}

impl Names {
    /// Where `name`, written by a caller whose key lives in `namespace`, leads. `None`: as if it were not there.
    #[must_use]
    pub fn resolve(&self, namespace: &str, name: &str) -> Option<Meaning<'_>> {
        for place in self.places(namespace) {
            match self.by_namespace.get(place).map(|offered| offered.find(place, namespace, name)) {
                Some(Found::Here(meaning)) => return Some(meaning),
                Some(Found::Claimed) => return None,
                Some(Found::Absent) | None => {}
            }
        }
        None
    }

    /// Namespaces in which names of a key of `namespace` are looked up, in order.
    pub fn places<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a str> {
        let platform = self.platform.iter().map(|p| &**p).filter(move |p| *p != namespace);
        std::iter::once(namespace).chain(platform)
    }

    /// All names that a caller in `namespace` can resolve, sorted, each with what it leads to. Names that lead to a
    /// chain by their beginning cannot be listed.
    #[must_use]
    pub fn visible(&self, namespace: &str) -> BTreeMap<&str, Meaning<'_>> {
        let offered =
            self.by_namespace.iter().filter(|(place, _)| self.places(namespace).any(|p| *p == ***place));
        let names: BTreeSet<&Arc<str>> =
            offered.flat_map(|(_, o)| o.models.keys().chain(o.chains.keys())).collect();
        names.into_iter().filter_map(|n| Some((&**n, self.resolve(namespace, n)?))).collect()
    }
}
