//! `cargo xtask crds`: writes the definitions of `smartflow-crds` to `crds/yaml`.

use std::path::{Path, PathBuf};

/// Arguments of `cargo xtask crds`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Write nothing; fail when a file differs from the types.
    #[arg(long)]
    pub(crate) check: bool,
}

/// Why the definitions were not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The types have no proper definition.
    #[error(transparent)]
    Definition(#[from] smartflow_crds::DefinitionError),
    /// A file could not be written.
    #[error("{path}: {source}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// `--check` found files that differ.
    #[error("out of date: {}; run `cargo xtask crds`", files.join(", "))]
    Drift {
        /// The files.
        files: Vec<String>,
    },
}

/// Writes the definitions that changed and says which, or compares them all with `--check`.
pub(crate) fn run(args: &Args, root: &Path) -> Result<(), Error> {
    let folder = root.join("crds/yaml");
    let mut different = Vec::new();
    for definition in smartflow_crds::all()? {
        let path = folder.join(format!("{}.yaml", definition.spec.names.plural));
        let text = smartflow_crds::yaml(&definition)?;
        if std::fs::read_to_string(&path).is_ok_and(|present| present == text) {
            continue;
        }
        if !args.check {
            let written = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, text));
            written.map_err(|source| Error::Write { path: path.clone(), source })?;
            println!("wrote {}", path.display());
        }
        different.push(path);
    }
    if args.check && !different.is_empty() {
        return Err(Error::Drift { files: different.iter().map(|p| p.display().to_string()).collect() });
    }
    Ok(())
}
