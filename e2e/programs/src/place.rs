//! Where programs are: a folder of the user's choice, else the cache of `cargo xtask tools`.

use crate::program::{self, Program};
use std::ffi::OsString;
use std::path::PathBuf;

/// Names a folder with `kube-apiserver`, `etcd` and `kubectl` in it, as Kubernetes' own test environment has it. Only what it
/// lacks is built.
pub const ASSETS: &str = "KUBEBUILDER_ASSETS";
/// Names the folder that built programs are kept in, instead of `~/.cache/smartflow/tools`.
pub const PLACE: &str = "SMARTFLOW_TOOLS_DIR";
/// `true`: tests use the cluster of the current kubeconfig context and start none.
pub const EXISTING: &str = "USE_EXISTING_CLUSTER";

/// What the environment says about places.
#[derive(Debug, Clone, Default)]
pub struct Places {
    assets: Option<PathBuf>,
    chosen: Option<PathBuf>,
    cache: Option<PathBuf>,
    home: Option<PathBuf>,
}

/// A program that is nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Where it was looked for.
    pub path: PathBuf,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is not there; run `cargo xtask tools`, or set {ASSETS}", self.path.display())
    }
}

impl std::error::Error for Missing {}

impl Places {
    /// As this process's environment has them.
    #[must_use]
    pub fn read() -> Self {
        let path = |name| variable(name).map(PathBuf::from);
        Self { assets: path(ASSETS), chosen: path(PLACE), cache: path("XDG_CACHE_HOME"), home: path("HOME") }
    }

    /// Everything in this folder, whatever the environment says.
    #[must_use]
    pub fn at(root: PathBuf) -> Self {
        Self { chosen: Some(root), ..Self::default() }
    }

    /// The folder for everything that is built, of all versions. None when neither [`PLACE`] nor a home is known.
    #[must_use]
    pub fn root(&self) -> Option<PathBuf> {
        let user = || self.cache.clone().or_else(|| self.home.as_ref().map(|home| home.join(".cache")));
        self.chosen.clone().or_else(|| user().map(|cache| cache.join("smartflow/tools")))
    }

    /// The folder of this set of versions.
    #[must_use]
    pub fn built(&self) -> Option<PathBuf> {
        self.root().map(|root| root.join(program::key()))
    }

    /// Where a program is. Etcd, API server and kubectl come from [`ASSETS`] when that is set; what is not in there
    /// comes from the cache.
    ///
    /// # Errors
    /// [`Missing`] with the last place that was looked at.
    pub fn find(&self, program: &Program) -> Result<PathBuf, Missing> {
        let folders = self.assets.iter().cloned().chain(self.built());
        let mut last = PathBuf::from(program.name);
        for folder in folders {
            last = folder.join(program.name);
            if last.is_file() {
                return Ok(last);
            }
        }
        Err(Missing { path: last })
    }
}

/// True when tests are to use a cluster that runs already ([`EXISTING`]).
#[must_use]
pub fn uses_existing() -> bool {
    variable(EXISTING).is_some_and(|value| value == "true" || value == "1")
}

fn variable(name: &str) -> Option<OsString> {
    #[expect(clippy::disallowed_methods, reason = "settings of tests and chores, not of the product")]
    let value = std::env::var_os(name);
    value.filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::Places;
    use crate::program::{ALL, key};
    use std::fs;
    use std::path::{Path, PathBuf};

    #[test]
    fn the_chosen_folder_goes_before_the_caches() {
        let all = Places {
            chosen: Some("/chosen".into()),
            cache: Some("/cache".into()),
            home: Some("/home".into()),
            ..Places::default()
        };
        assert_eq!(all.built(), Some(Path::new("/chosen").join(key())));
        let cache = Places { chosen: None, ..all };
        assert_eq!(cache.root(), Some(PathBuf::from("/cache/smartflow/tools")));
        let home = Places { cache: None, ..cache };
        assert_eq!(home.root(), Some(PathBuf::from("/home/.cache/smartflow/tools")));
        assert_eq!(Places::default().root(), None);
    }

    #[test]
    fn assets_go_first_and_what_they_lack_comes_from_the_cache() {
        let folder = std::env::temp_dir().join(format!("smartflow-places-{}", std::process::id()));
        let (assets, built) = (folder.join("assets"), folder.join("built"));
        let [etcd, apiserver, ..] = ALL;
        let set = built.join(key());
        fs::create_dir_all(&assets).unwrap();
        fs::create_dir_all(&set).unwrap();
        fs::write(assets.join(etcd.name), "").unwrap();
        fs::write(set.join(etcd.name), "").unwrap();
        let places = Places { assets: Some(assets.clone()), chosen: Some(built), ..Places::default() };
        assert_eq!(places.find(&etcd), Ok(assets.join(etcd.name)));
        let missing = places.find(&apiserver).unwrap_err();
        assert_eq!(missing.path, set.join(apiserver.name));
        fs::write(set.join(apiserver.name), "").unwrap();
        assert_eq!(places.find(&apiserver), Ok(set.join(apiserver.name)));
        fs::remove_dir_all(folder).unwrap();
    }
}
