//! The world as declared.

use crate::object::{Object, ObjectRef};
use std::collections::BTreeMap;

/// All objects, each once.
#[derive(Clone, Debug, Default)]
pub struct Resources {
    objects: BTreeMap<ObjectRef, Object>,
}

impl Resources {
    /// Sets an object; returns what it replaced.
    pub fn insert(&mut self, object: Object) -> Option<Object> {
        self.objects.insert(object.id().clone(), object)
    }

    /// Takes an object out.
    pub fn remove(&mut self, id: &ObjectRef) -> Option<Object> {
        self.objects.remove(id)
    }

    /// The objects, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Object> {
        self.objects.values()
    }
}

impl FromIterator<Object> for Resources {
    fn from_iter<I: IntoIterator<Item = Object>>(objects: I) -> Self {
        Self { objects: objects.into_iter().map(|o| (o.id().clone(), o)).collect() }
    }
}

/// What the compiler is told beside the objects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Namespaces whose providers all namespaces may see, in order of precedence, and whose policies may concern calls
    /// from everywhere.
    pub platform_namespaces: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { platform_namespaces: vec!["platform".to_owned()] }
    }
}
