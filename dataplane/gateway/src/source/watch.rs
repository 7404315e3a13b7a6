//! Waiting for changes: inotify, debounced.

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher, event::AccessKind, event::AccessMode};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Changes that follow each other this closely are looked at together.
const QUIET: Duration = Duration::from_millis(15);
/// However busy the folder is, it is looked at this long after a change.
const AT_MOST: Duration = Duration::from_millis(45);

/// What in a folder is of interest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Interest {
    /// Everything.
    All,
    /// These names, and those that begin with `..` (a ConfigMap's or Secret's folder is swapped behind them).
    Only(BTreeSet<OsString>),
}

impl Interest {
    fn covers(&self, name: &std::ffi::OsStr) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(name) || name.as_encoded_bytes().starts_with(b".."),
        }
    }

    /// Both.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Only(mut a), Self::Only(b)) => {
                a.extend(b);
                Self::Only(a)
            }
            _ => Self::All,
        }
    }
}

type Interests = Arc<Mutex<BTreeMap<PathBuf, Interest>>>;

/// Folders that are watched.
pub(crate) struct Watch {
    watcher: Option<RecommendedWatcher>,
    interests: Interests,
    /// Which folder a path led to when it was watched: a swapped link leads elsewhere.
    watched: BTreeMap<PathBuf, (u64, u64)>,
    wake: SyncSender<()>,
    wakes: Receiver<()>,
    stopped: Arc<AtomicBool>,
}

/// Ends the wait for changes, now and for ever, when it is dropped.
#[derive(Debug)]
pub struct Stop {
    wake: SyncSender<()>,
    stopped: Arc<AtomicBool>,
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        // A wake that is still waiting to be seen does as well.
        let _ = self.wake.try_send(());
    }
}

/// Why a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Woken {
    /// Something changed.
    Changed,
    /// Nothing did, for the time given.
    Quiet,
    /// [`Stop`] was dropped.
    Stopped,
}

impl Watch {
    /// Watches nothing yet.
    pub(crate) fn new() -> Self {
        // One wake is as good as many.
        let (wake, wakes) = sync_channel(1);
        let interests = Interests::default();
        let seen = interests.clone();
        let waking = wake.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if is_of_interest(&event, &seen) {
                let _ = waking.try_send(());
            }
        });
        let (watched, stopped) = Default::default();
        Self { watcher: watcher.ok(), interests, watched, wake, wakes, stopped }
    }

    /// Ends waits when it is dropped.
    pub(crate) fn stop(&self) -> Stop {
        Stop { wake: self.wake.clone(), stopped: self.stopped.clone() }
    }

    /// Watches exactly `wanted`. True when a folder is watched anew: what happened in it before was not seen.
    pub(crate) fn follow(&mut self, wanted: BTreeMap<PathBuf, Interest>) -> bool {
        let Some(watcher) = &mut self.watcher else { return false };
        // Events name absolute paths.
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        let wanted: BTreeMap<_, _> = wanted.into_iter().map(|(path, of)| (absolute(path), of)).collect();
        let same = |path: &Path, identity| self.watched.get(path) == Some(&identity);
        let present: BTreeMap<_, _> = wanted.keys().filter_map(|p| Some((p.clone(), identity(p)?))).collect();
        let fresh: Vec<_> =
            present.iter().filter(|(p, i)| !same(p, **i)).map(|(p, i)| (p.clone(), *i)).collect();
        let stale: Vec<_> = self.watched.iter().filter(|(p, i)| present.get(*p) != Some(*i)).collect();
        for (path, _) in stale {
            // It may be gone already, and the watch with it.
            let _ = watcher.unwatch(path);
        }
        self.watched.retain(|path, i| present.get(path) == Some(i));
        *self.interests.lock().unwrap_or_else(PoisonError::into_inner) = wanted;
        let mut anew = false;
        for (path, identity) in fresh {
            if watcher.watch(&path, RecursiveMode::NonRecursive).is_ok() {
                self.watched.insert(path, identity);
                anew = true;
            }
        }
        anew
    }

    /// True when some folder is not watched, so that only looking again finds changes.
    pub(crate) fn is_blind(&self) -> bool {
        let wanted = self.interests.lock().unwrap_or_else(PoisonError::into_inner);
        self.watcher.is_none() || wanted.len() > self.watched.len()
    }

    /// Waits for a change, and then until things are quiet; at most `time`.
    pub(crate) fn wait(&self, time: Duration) -> Woken {
        if self.is_stopped() {
            return Woken::Stopped;
        }
        // `self.wake` is a sender, so that an error is the time that is up.
        if self.wakes.recv_timeout(time).is_err() {
            return Woken::Quiet;
        }
        let began = Instant::now();
        while let Some(left) = AT_MOST.checked_sub(began.elapsed()) {
            if self.is_stopped() || self.wakes.recv_timeout(QUIET.min(left)).is_err() {
                break;
            }
        }
        if self.is_stopped() { Woken::Stopped } else { Woken::Changed }
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }
}

/// Which folder a path leads to.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let data = std::fs::metadata(path).ok()?;
    Some((data.dev(), data.ino()))
}

fn is_of_interest(event: &notify::Result<notify::Event>, interests: &Interests) -> bool {
    // An error may hide a change.
    let Ok(event) = event else { return true };
    match event.kind {
        // Our own reading.
        EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write) => false,
        _ if event.paths.is_empty() => true,
        _ => {
            let interests = interests.lock().unwrap_or_else(PoisonError::into_inner);
            event.paths.iter().any(|path| {
                let within = path.parent().and_then(|folder| interests.get(folder));
                let named = path.file_name().zip(within).is_some_and(|(name, i)| i.covers(name));
                named || interests.contains_key(path)
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    const LONG: Duration = Duration::from_secs(10);
    /// Long enough for an event of our own doing to arrive.
    const SHORT: Duration = Duration::from_millis(150);

    fn all(folders: &[&Path]) -> BTreeMap<PathBuf, Interest> {
        folders.iter().map(|f| ((*f).to_owned(), Interest::All)).collect()
    }

    #[test]
    fn writing_renaming_and_removing_wake_reading_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let mut watch = Watch::new();
        assert!(watch.follow(all(&[dir.path()])));
        assert!(!watch.follow(all(&[dir.path()])), "already watched");
        assert!(!watch.is_blind());
        let path = dir.path().join("a.yaml");
        fs::write(&path, "a").unwrap();
        assert_eq!(watch.wait(LONG), Woken::Changed);
        assert_eq!(fs::read_to_string(&path).unwrap(), "a");
        assert_eq!(watch.wait(SHORT), Woken::Quiet);
        fs::rename(&path, dir.path().join("b.yaml")).unwrap();
        assert_eq!(watch.wait(LONG), Woken::Changed);
        fs::remove_file(dir.path().join("b.yaml")).unwrap();
        assert_eq!(watch.wait(LONG), Woken::Changed);
    }

    #[test]
    fn a_relative_folder_is_watched_as_well() {
        let dir = tempfile::tempdir_in(".").unwrap();
        let relative = Path::new(".").join(dir.path().file_name().unwrap());
        let mut watch = Watch::new();
        watch.follow(all(&[&relative]));
        fs::write(relative.join("a.yaml"), "a").unwrap();
        assert_eq!(watch.wait(LONG), Woken::Changed);
    }

    #[test]
    fn a_swapped_link_is_watched_where_it_leads_now() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("world");
        for version in ["v1", "v2"] {
            fs::create_dir(dir.path().join(version)).unwrap();
        }
        symlink("v1", &link).unwrap();
        let mut watch = Watch::new();
        watch.follow(all(&[&link]));
        symlink("v2", dir.path().join("next")).unwrap();
        fs::rename(dir.path().join("next"), &link).unwrap();
        assert!(watch.follow(all(&[&link])), "another folder by the same path");
        fs::write(dir.path().join("v2/a.yaml"), "a").unwrap();
        assert_eq!(watch.wait(LONG), Woken::Changed);
    }

    #[test]
    fn only_names_of_interest_wake() {
        let dir = tempfile::tempdir().unwrap();
        let mut watch = Watch::new();
        let interest = Interest::Only(["key".into()].into());
        watch.follow([(dir.path().to_owned(), interest)].into());
        fs::write(dir.path().join("other"), "x").unwrap();
        assert_eq!(watch.wait(SHORT), Woken::Quiet);
        fs::write(dir.path().join("key"), "x").unwrap();
        assert_eq!(watch.wait(LONG), Woken::Changed);
        symlink("..v2", dir.path().join("..data")).unwrap();
        assert_eq!(watch.wait(LONG), Woken::Changed);
    }

    #[test]
    fn a_busy_folder_is_looked_at_all_the_same_and_stop_ends_the_wait() {
        let dir = tempfile::tempdir().unwrap();
        let mut watch = Watch::new();
        watch.follow(all(&[dir.path()]));
        let stop_waiting = watch.stop();
        let busy = std::thread::scope(|scope| {
            let stop = Arc::new(AtomicBool::new(false));
            let (path, ended) = (dir.path().join("a"), stop.clone());
            scope.spawn(move || {
                while !ended.load(Ordering::Acquire) {
                    fs::write(&path, "x").unwrap();
                }
            });
            let began = Instant::now();
            let woken = watch.wait(LONG);
            stop.store(true, Ordering::Release);
            (woken, began.elapsed() < LONG)
        });
        assert_eq!(busy, (Woken::Changed, true));
        drop(stop_waiting);
        assert_eq!(watch.wait(LONG), Woken::Stopped);
        assert_eq!(watch.wait(LONG), Woken::Stopped, "for ever");
    }
}
