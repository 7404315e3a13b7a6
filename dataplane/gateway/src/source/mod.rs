//! Where a snapshot comes from: a folder of resources, or Redis ([`redis`]).
//!
//! ```text
//! watch ── something changed ──► files ── what changed ──► reader ──► World
//!                                             │ text -> objects          smartflow-compile
//!                                             │ which file declares what inventory
//!                                             │ env://, file://          credentials
//!                                             │ last valid spec, last text, tokens   data_dir
//!                                             └ compiled: what a change touches, nothing else
//! ```
//!
//! One bad object takes nobody else down: a file that is not YAML keeps what was last read from it, an invalid object
//! its last valid spec, both across restarts. What is deleted is gone at once.

mod credentials;
mod data_dir;
mod files;
mod generated_keys;
mod inventory;
mod last_good;
mod place;
mod reader;
pub mod redis;
mod stamp;
pub(crate) mod watch;
mod world;

pub use credentials::{Environment, process_environment};
pub use last_good::StoreError;
pub use place::place;
pub use watch::Stop;
pub use world::{Faulty, FileFindings, GeneratedKey, Variable, World};

use data_dir::DataDir;
use files::Look;
use reader::Reader;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;
use watch::{Interest, Watch, Woken};

/// Without a change the folder is looked at this often all the same: not every file system tells of changes.
const LOOK: Duration = Duration::from_secs(10);
/// The same where watching is not possible.
const BLIND: Duration = Duration::from_secs(1);
/// While something is being written.
const UNSETTLED: Duration = Duration::from_millis(100);
/// A folder that changes while it is being looked at is looked at this often, then taken as it is.
const LOOKS: usize = 5;

/// What is read, and where things are kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder with resources.
    pub world: PathBuf,
    /// Folder for tokens and last-good resources; made where it is missing.
    pub data_dir: PathBuf,
    /// Namespaces whose models every namespace may name, in order.
    pub platform_namespaces: Vec<String>,
}

/// Why the source cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The folder with resources is not there, or not one.
    #[error("{path} cannot be read: {source}. Name a folder with resources (YAML).", path = path.display())]
    World {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The data dir cannot be used.
    #[error(transparent)]
    DataDir(#[from] StoreError),
}

/// A folder of resources that is followed.
pub struct Files {
    root: PathBuf,
    reader: Reader,
    watch: Watch,
    /// Where resources are, as of the last look.
    folders: BTreeSet<PathBuf>,
    unsettled: bool,
}

impl Files {
    /// Reads and compiles everything, and begins to watch. `env://` refers to the environment of this process.
    ///
    /// # Errors
    /// When the folder or the data dir cannot be used. What is wrong *in* the folder is told by the [`World`].
    pub fn open(options: &Options) -> Result<(Self, World), SourceError> {
        Self::open_in(options, process_environment())
    }

    /// [`Files::open`] with another environment.
    ///
    /// # Errors
    /// As [`Files::open`].
    pub fn open_in(options: &Options, environment: Environment) -> Result<(Self, World), SourceError> {
        readable(&options.world)?;
        let data = DataDir::open(&options.data_dir)?;
        let reader = Reader::new(options, environment, Some(data));
        let (root, folders, watch) = (options.world.clone(), BTreeSet::new(), Watch::new());
        let mut files = Self { root, reader, watch, folders, unsettled: false };
        let world = files.change().unwrap_or_else(|| files.reader.world());
        Ok((files, world))
    }

    /// Waits for a change that matters and compiles it; `None` after [`Stop`] was dropped. Blocks: call it from a
    /// thread of its own. What was learnt is kept in the data dir at the beginning of the next call, so that nobody
    /// waits for the disk before serving.
    pub fn next_change(&mut self) -> Option<World> {
        loop {
            self.reader.persist();
            if let Some(world) = self.reader.told() {
                return Some(world);
            }
            let time = match (self.unsettled, self.watch.is_blind()) {
                (true, _) => UNSETTLED,
                (_, true) => BLIND,
                _ => LOOK,
            };
            if self.watch.wait(time) == Woken::Stopped {
                return None;
            }
            if let Some(world) = self.change() {
                return Some(world);
            }
        }
    }

    /// Ends [`Files::next_change`] when it is dropped.
    #[must_use]
    pub fn stop(&self) -> Stop {
        self.watch.stop()
    }

    /// Looks, and compiles what is different.
    fn change(&mut self) -> Option<World> {
        for _ in 0..LOOKS {
            loop {
                let look = self.look();
                let (more, stale) = (look.more, self.reader.credentials.stale());
                self.reader.take(look, stale);
                if !more {
                    break;
                }
            }
            // References that are new lead to files that may have changed before they were watched.
            if !self.follow() {
                break;
            }
        }
        self.reader.told()
    }

    /// Looks until nothing changes behind its back.
    fn look(&mut self) -> Look {
        let mut look = self.reader.folder.look();
        for _ in 0..LOOKS {
            self.folders.clone_from(&look.folders);
            if !self.follow() {
                break;
            }
            look.then(self.reader.folder.look());
        }
        self.unsettled = look.unsettled;
        look
    }

    /// Watches what matters now. True when something is watched anew.
    fn follow(&mut self) -> bool {
        let mut wanted: BTreeMap<PathBuf, Interest> = BTreeMap::new();
        let folders = self.folders.iter().map(|folder| (folder.clone(), Interest::All));
        // The folder itself may be a link that is swapped.
        let root =
            self.root.file_name().map(|name| (above(&self.root), Interest::Only([name.to_owned()].into())));
        for (folder, interest) in folders.chain(root).chain(self.reader.credentials.interests()) {
            let known = wanted.remove(&folder);
            let both = known.map_or(interest.clone(), |known| known.and(interest));
            wanted.insert(folder, both);
        }
        self.watch.follow(wanted)
    }
}

/// Reads and compiles `world` once. Nothing is kept and no token is made.
///
/// # Errors
/// When the folder cannot be read.
pub fn inspect(
    world: &Path,
    platform_namespaces: &[String],
    environment: Environment,
) -> Result<World, SourceError> {
    readable(world)?;
    let options = Options {
        world: world.to_owned(),
        data_dir: PathBuf::new(),
        platform_namespaces: platform_namespaces.to_vec(),
    };
    let mut reader = Reader::new(&options, environment, None);
    loop {
        let look = reader.folder.look();
        let more = look.more;
        reader.take(look, BTreeSet::new());
        if !more {
            return Ok(reader.told().unwrap_or_else(|| reader.world()));
        }
    }
}

/// The folder that holds `path`.
fn above(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Whether `world` is a folder that can be read.
///
/// # Errors
/// [`SourceError::World`]
pub fn readable(world: &Path) -> Result<(), SourceError> {
    let listed = std::fs::read_dir(world).map(drop);
    listed.map_err(|source| SourceError::World { path: world.to_owned(), source })
}
