//! What the workspace consists of: its packages, their dependencies and its files.

use crate::process::{self, ProcessError};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace as cargo and git see it.
pub(crate) struct Workspace {
    /// Where the root `Cargo.toml` is.
    pub(crate) root: PathBuf,
    /// Its own packages, by name.
    pub(crate) packages: BTreeMap<String, Package>,
    /// Every package of the graph, by id: its name and the ids it depends on (dev-dependencies left out).
    graph: BTreeMap<String, (String, Vec<String>)>,
}

/// A package of the workspace.
pub(crate) struct Package {
    /// Its id in the graph.
    id: String,
    /// Folder of its `Cargo.toml`, relative to the root.
    pub(crate) folder: PathBuf,
    /// Names of what it depends on (dev-dependencies left out).
    pub(crate) dependencies: BTreeSet<String>,
    /// Those of them that only a feature brings.
    pub(crate) optional: BTreeSet<String>,
}

impl Workspace {
    /// Asks `cargo metadata`, without network.
    pub(crate) fn read() -> Result<Self, ProcessError> {
        let root = root();
        let mut command = process::cargo(&root);
        command.args(["metadata", "--format-version", "1", "--locked", "--offline"]);
        // A fresh clone has nothing downloaded yet; then, and only then, the network is needed.
        let text = match process::quiet(&mut command)? {
            (true, _) => process::capture(&mut command)?,
            (false, _) => {
                process::capture(process::cargo(&root).args(["metadata", "--format-version", "1"]))?
            }
        };
        let metadata: Value = serde_json::from_str(&text).map_err(|fault| ProcessError::Output {
            program: "cargo metadata".to_owned(),
            reason: fault.to_string(),
        })?;
        let members: BTreeSet<&str> =
            list(&metadata["workspace_members"]).filter_map(Value::as_str).collect();
        let packages = list(&metadata["packages"])
            .filter(|package| members.contains(text_of(package, "id")))
            .map(|package| (text_of(package, "name").to_owned(), Package::of(package, &root)))
            .collect();
        let graph = graph(&metadata);
        Ok(Self { root, packages, graph })
    }

    /// A workspace of `packages` (name, folder, what it is built with) at `root`, where git must have been set up.
    #[cfg(test)]
    pub(crate) fn of(root: PathBuf, packages: &[(&str, &str, &[&str])]) -> Self {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let graph =
            packages.iter().map(|(name, _, next)| ((*name).to_owned(), ((*name).to_owned(), names(next))));
        let package = |name: &str, folder: &str, next: &[&str]| Package {
            id: name.to_owned(),
            folder: PathBuf::from(folder),
            dependencies: names(next).into_iter().collect(),
            optional: BTreeSet::new(),
        };
        Self {
            root,
            packages: packages
                .iter()
                .filter(|(_, folder, _)| !folder.is_empty())
                .map(|(name, folder, next)| ((*name).to_owned(), package(name, folder, next)))
                .collect(),
            graph: graph.collect(),
        }
    }

    /// Names of all packages that `package` is built with unless a feature of its own is chosen, itself left out.
    pub(crate) fn closure(&self, package: &Package) -> BTreeSet<&str> {
        let mut seen = BTreeSet::from([package.id.as_str()]);
        let mut names = BTreeSet::new();
        let direct = self.graph.get(&package.id).map_or(&[][..], |(_, next)| next);
        let chosen =
            |id: &&String| self.graph.get(*id).is_some_and(|(name, _)| !package.optional.contains(name));
        let mut open: Vec<&str> = direct.iter().filter(chosen).map(String::as_str).collect();
        while let Some(id) = open.pop() {
            let Some((name, next)) = self.graph.get(id) else { continue };
            if seen.insert(id) {
                names.insert(name.as_str());
                open.extend(next.iter().map(String::as_str));
            }
        }
        names
    }

    /// Files under version control or about to be, relative to the root, whose name ends in one of `endings`.
    pub(crate) fn files(&self, endings: &[&str]) -> Result<Vec<PathBuf>, ProcessError> {
        let mut git = Command::new("git");
        git.current_dir(&self.root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let mut files: Vec<PathBuf> = process::capture(&mut git)?
            .split('\0')
            .filter(|name| endings.iter().any(|ending| name.ends_with(ending)))
            .map(PathBuf::from)
            .filter(|path| self.root.join(path).is_file())
            .collect();
        files.sort();
        files.dedup();
        Ok(files)
    }

    /// The text of a file; empty when it cannot be read as text.
    pub(crate) fn text(&self, path: &Path) -> String {
        std::fs::read_to_string(self.root.join(path)).unwrap_or_default()
    }
}

impl Package {
    fn of(package: &Value, root: &Path) -> Self {
        let manifest = Path::new(text_of(package, "manifest_path"));
        let folder = manifest.parent().and_then(|folder| folder.strip_prefix(root).ok()).unwrap_or(manifest);
        Self {
            id: text_of(package, "id").to_owned(),
            folder: folder.to_owned(),
            dependencies: list(&package["dependencies"])
                .filter(|dependency| dependency["kind"].as_str() != Some("dev"))
                .map(|dependency| text_of(dependency, "name").to_owned())
                .collect(),
            optional: list(&package["dependencies"])
                .filter(|dependency| dependency["optional"].as_bool() == Some(true))
                .map(|dependency| text_of(dependency, "name").to_owned())
                .collect(),
        }
    }
}

/// Where the workspace is: xtask is built inside it.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

fn graph(metadata: &Value) -> BTreeMap<String, (String, Vec<String>)> {
    let names: BTreeMap<&str, &str> = list(&metadata["packages"])
        .map(|package| (text_of(package, "id"), text_of(package, "name")))
        .collect();
    list(&metadata["resolve"]["nodes"])
        .map(|node| {
            let id = text_of(node, "id");
            let next = list(&node["deps"])
                .filter(|dep| list(&dep["dep_kinds"]).any(|kind| kind["kind"].as_str() != Some("dev")))
                .map(|dep| text_of(dep, "pkg").to_owned())
                .collect();
            (id.to_owned(), (names.get(id).copied().unwrap_or_default().to_owned(), next))
        })
        .collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text_of<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}
