//! The folder: which files it holds, and what changed since the last look.

use super::stamp::Stamp;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Largest file that is read.
const MOST_BYTES: u64 = 64 << 20;
/// Most files of one folder.
const MOST_FILES: usize = 200_000;
/// Deepest subfolder.
const MOST_DEPTH: usize = 16;
/// Text that one look hands out, so that a large folder needs little memory; the rest is for the next look.
const BUDGET: usize = 1 << 20;
/// How long an emptied file may be on its way to new content.
const EMPTIED: Duration = Duration::from_secs(1);

/// A folder that is looked at again and again.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    /// Never descended into: the data dir may lie within the folder.
    skipped: Option<PathBuf>,
    known: BTreeMap<Box<str>, Known>,
    /// Files that had content and are empty now, since when.
    emptied: BTreeMap<Box<str>, Instant>,
}

#[derive(Debug)]
struct Known {
    stamp: Stamp,
    /// What was last handed out; a fault is `None`.
    content: Option<Digest>,
}

/// First half of a SHA-256.
pub(super) type Digest = [u8; 16];

/// What one look found.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// Files whose content is new or differs, and those that became unreadable, by path within the folder.
    pub(super) changed: BTreeMap<Box<str>, Content>,
    /// Files that are gone. Empty as long as there is `more`.
    pub(super) removed: Vec<Box<str>>,
    /// Folders to be watched.
    pub(super) folders: BTreeSet<PathBuf>,
    /// Folders that could not be listed, and bounds that were hit; nothing below is taken for removed.
    pub(super) faults: Vec<(Box<str>, String)>,
    /// Something is being written: look again soon.
    pub(super) unsettled: bool,
    /// There are more changes than one look hands out: look again at once.
    pub(super) more: bool,
}

impl Look {
    /// Adds what a later look found.
    pub(super) fn then(&mut self, later: Self) {
        let Self { changed, removed, folders, faults, unsettled, more } = later;
        for name in &removed {
            self.changed.remove(name);
        }
        self.removed.extend(removed);
        self.removed.retain(|name| !changed.contains_key(name));
        self.changed.extend(changed);
        (self.folders, self.faults, self.unsettled, self.more) = (folders, faults, unsettled, more);
    }
}

/// What a file holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Content {
    /// Text.
    Text(String),
    /// It could not be read as text, and why.
    Unreadable(String),
}

impl Folder {
    /// A folder that was not looked at yet.
    pub(super) fn new(root: PathBuf, skipped: Option<PathBuf>) -> Self {
        Self { root, skipped, known: BTreeMap::new(), emptied: BTreeMap::new() }
    }

    /// Where it is.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// What the file `name` holds now, whatever was seen of it before.
    pub(super) fn read(&self, name: &str) -> Content {
        match read(&self.root.join(name), 0) {
            Ok((_, content)) => content,
            Err(e) => Content::Unreadable(e.to_string()),
        }
    }

    /// True when `name` is a file that was seen.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.known.contains_key(name)
    }

    /// Looks at every file; reads those that may have changed, new and small ones first.
    pub(super) fn look(&mut self) -> Look {
        let mut look = Look::default();
        let mut found = BTreeMap::new();
        self.list(&self.root, "", 0, &mut BTreeSet::new(), &mut found, &mut look);
        let mut due: Vec<_> = found.iter().filter(|(name, now)| self.is_due(name, now)).collect();
        due.sort_by_key(|(name, now)| (self.known.contains_key(*name), now.length()));
        let mut bytes = 0;
        for (name, now) in due {
            if bytes >= BUDGET {
                look.more = true;
                break;
            }
            bytes += self.visit(name, *now, &mut look);
        }
        if !look.more {
            let hidden = |name: &str| look.faults.iter().any(|(at, _)| is_within(name, at));
            let gone = self.known.keys().filter(|name| !found.contains_key(*name) && !hidden(name));
            look.removed = gone.cloned().collect();
            for name in &look.removed {
                self.known.remove(name);
                self.emptied.remove(name);
            }
        }
        look.unsettled |= !self.emptied.is_empty();
        look
    }

    fn is_due(&self, name: &str, now: &Stamp) -> bool {
        !self.known.get(name).is_some_and(|k| k.stamp.proves(now)) || self.emptied.contains_key(name)
    }

    fn list(
        &self,
        folder: &Path,
        prefix: &str,
        depth: usize,
        above: &mut BTreeSet<(u64, u64)>,
        found: &mut BTreeMap<Box<str>, Stamp>,
        look: &mut Look,
    ) {
        let fault = |look: &mut Look, why: String| look.faults.push((prefix.into(), why));
        let identity = match fs::metadata(folder) {
            Ok(data) => (data.dev(), data.ino()),
            Err(e) if e.kind() == ErrorKind::NotFound && depth > 0 => return,
            Err(e) => return fault(look, e.to_string()),
        };
        if depth > MOST_DEPTH {
            return fault(look, format!("more than {MOST_DEPTH} levels of folders"));
        }
        // A link that leads back up ends here.
        if !above.insert(identity) {
            return;
        }
        look.folders.insert(folder.to_owned());
        match fs::read_dir(folder) {
            Ok(entries) => {
                let mut names = Vec::new();
                for entry in entries {
                    match entry {
                        Ok(entry) => names.push(entry.file_name()),
                        Err(e) => fault(look, e.to_string()),
                    }
                }
                names.sort();
                for name in names.iter().filter_map(|n| n.to_str()).filter(|n| !n.starts_with('.')) {
                    let path = folder.join(name);
                    // Follows links: what a ConfigMap shows is a link into a folder that is swapped as a whole.
                    let inner = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
                    let data = match fs::metadata(&path) {
                        Ok(data) => data,
                        // Only what is surely gone is taken for removed; what cannot be seen stays in force.
                        Err(e) if e.kind() == ErrorKind::NotFound => continue,
                        Err(e) => {
                            if is_yaml(name) || self.known.keys().any(|known| is_within(known, &inner)) {
                                look.faults.push((inner.into(), e.to_string()));
                            }
                            continue;
                        }
                    };
                    if data.is_dir() && !self.is_skipped(&path) {
                        self.list(&path, &inner, depth + 1, above, found, look);
                    } else if data.is_file() && is_yaml(name) {
                        if found.len() >= MOST_FILES {
                            fault(look, format!("more than {MOST_FILES} files"));
                            break;
                        }
                        found.insert(inner.into(), Stamp::of(&data));
                    }
                }
            }
            Err(e) => fault(look, e.to_string()),
        }
        above.remove(&identity);
    }

    fn is_skipped(&self, path: &Path) -> bool {
        self.skipped.as_ref().is_some_and(|s| fs::canonicalize(path).is_ok_and(|p| p == *s))
    }

    /// Reads a file; returns how much text it adds to the look.
    fn visit(&mut self, name: &str, now: Stamp, look: &mut Look) -> usize {
        let (stamp, content) = match read(&self.root.join(name), now.length()) {
            Ok(read) => read,
            Err(e) if e.kind() == ErrorKind::NotFound => {
                look.unsettled = true;
                return 0;
            }
            Err(e) => (now, Content::Unreadable(e.to_string())),
        };
        let known = self.known.get(name);
        let before = known.and_then(|k| k.content);
        let first = known.is_none();
        let empty = matches!(&content, Content::Text(text) if text.is_empty());
        let since = self.emptied.remove(name).unwrap_or_else(Instant::now);
        // An editor that empties a file before it fills it must not delete what the file declares.
        let waited_for = empty && before.is_some_and(|b| b != digest("")) && since.elapsed() < EMPTIED;
        if waited_for {
            self.emptied.insert(name.into(), since);
        }
        let next = match &content {
            _ if waited_for => before,
            Content::Text(text) => Some(digest(text)),
            Content::Unreadable(_) => None,
        };
        self.known.insert(name.into(), Known { stamp, content: next });
        if !first && next == before && next.is_some() {
            return 0;
        }
        let length = if let Content::Text(text) = &content { text.len() } else { 0 };
        look.changed.insert(name.into(), content);
        length
    }
}

/// The text of a file, with the state that it is of.
fn read(path: &Path, length: u64) -> std::io::Result<(Stamp, Content)> {
    let mut file = fs::File::open(path)?;
    let mut bytes = Vec::with_capacity(usize::try_from(length.min(MOST_BYTES)).unwrap_or(0) + 1);
    let stamp = Stamp::of(&file.metadata()?);
    let read = file.by_ref().take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if read as u64 > MOST_BYTES {
        return Ok((stamp, Content::Unreadable(format!("it is larger than {MOST_BYTES} bytes"))));
    }
    Ok((
        stamp,
        match String::from_utf8(bytes) {
            Ok(text) => Content::Text(text),
            Err(e) => {
                let at = e.utf8_error().valid_up_to();
                Content::Unreadable(format!("it is not UTF-8 text (byte {at})"))
            }
        },
    ))
}

/// What tells two texts apart.
pub(super) fn digest(text: &str) -> Digest {
    let mut half = Digest::default();
    half.copy_from_slice(&Sha256::digest(text.as_bytes())[..16]);
    half
}

fn is_yaml(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|e| e == "yaml" || e == "yml")
}

/// True when the file `name` lies in `folder` (or in one below), or is that itself.
fn is_within(name: &str, folder: &str) -> bool {
    folder.is_empty()
        || name.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(look: &Look, name: &str) -> Option<String> {
        match look.changed.get(name) {
            Some(Content::Text(text)) => Some(text.clone()),
            _ => None,
        }
    }

    #[test]
    fn new_changed_and_removed_files() {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder::new(dir.path().to_owned(), None);
        fs::create_dir(dir.path().join("sub")).unwrap();
        fs::write(dir.path().join("a.yaml"), "a").unwrap();
        fs::write(dir.path().join("sub/b.yml"), "b").unwrap();
        fs::write(dir.path().join("notes.txt"), "n").unwrap();
        fs::write(dir.path().join(".hidden.yaml"), "h").unwrap();
        let look = folder.look();
        assert_eq!(look.changed.keys().map(|k| &**k).collect::<Vec<_>>(), ["a.yaml", "sub/b.yml"]);
        assert_eq!(look.folders.len(), 2);
        assert!(folder.look().changed.is_empty(), "nothing changed");

        // Same length, within the same tick of the clock.
        for i in 0..200 {
            fs::write(dir.path().join("a.yaml"), format!("{i:04}")).unwrap();
            assert_eq!(text(&folder.look(), "a.yaml"), Some(format!("{i:04}")));
        }
        fs::remove_dir_all(dir.path().join("sub")).unwrap();
        assert_eq!(folder.look().removed, [Box::<str>::from("sub/b.yml")]);
    }

    #[test]
    fn a_large_folder_is_handed_out_in_parts() {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder::new(dir.path().to_owned(), None);
        fs::write(dir.path().join("old.yaml"), "old").unwrap();
        folder.look();
        fs::remove_file(dir.path().join("old.yaml")).unwrap();
        for i in 0..9 {
            fs::write(dir.path().join(format!("{i}.yaml")), "x".repeat(BUDGET / 2 - i)).unwrap();
        }
        let (mut seen, mut looks) = (BTreeSet::new(), 0);
        loop {
            let look = folder.look();
            looks += 1;
            assert!(look.changed.len() <= 3, "a bounded part");
            assert!(look.changed.keys().all(|name| seen.insert(name.clone())), "each once");
            assert_eq!(look.removed.is_empty(), look.more, "what is gone comes last");
            if !look.more {
                break;
            }
        }
        assert!(seen.len() == 9 && looks >= 3, "{looks}");
    }

    #[test]
    fn an_emptied_file_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder::new(dir.path().to_owned(), None);
        let path = dir.path().join("a.yaml");
        fs::write(&path, "a").unwrap();
        folder.look();
        fs::write(&path, "").unwrap();
        let look = folder.look();
        assert!(look.changed.is_empty() && look.unsettled);
        fs::write(&path, "b").unwrap();
        let look = folder.look();
        assert_eq!((text(&look, "a.yaml"), look.unsettled), (Some("b".to_owned()), false));

        fs::write(&path, "").unwrap();
        let began = Instant::now();
        let emptied = loop {
            let look = folder.look();
            if !look.changed.is_empty() {
                break look;
            }
            assert!(began.elapsed() < Duration::from_secs(10), "an empty file is empty in the end");
        };
        assert_eq!(text(&emptied, "a.yaml"), Some(String::new()));
        assert!(began.elapsed() >= EMPTIED);
    }

    #[test]
    fn links_that_lead_up_end_and_text_must_be_text() {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder::new(dir.path().to_owned(), None);
        std::os::unix::fs::symlink(dir.path(), dir.path().join("loop")).unwrap();
        fs::write(dir.path().join("a.yaml"), [0xff, 0xfe]).unwrap();
        let look = folder.look();
        assert_eq!(look.folders.len(), 1);
        assert!(matches!(&look.changed["a.yaml"], Content::Unreadable(why) if why.contains("UTF-8")));
    }

    #[test]
    fn a_folder_that_is_not_there_removes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("world");
        fs::create_dir(&root).unwrap();
        fs::write(root.join("a.yaml"), "a").unwrap();
        let mut folder = Folder::new(root.clone(), None);
        folder.look();
        fs::rename(&root, dir.path().join("away")).unwrap();
        let look = folder.look();
        assert!(look.removed.is_empty() && look.faults.len() == 1, "{look:?}");
    }

    /// A link that leads nowhere is a ConfigMap's key that was deleted; one that cannot be followed says nothing.
    #[test]
    fn what_cannot_be_seen_is_not_taken_for_removed() {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder::new(dir.path().to_owned(), None);
        let outside = tempfile::tempdir().unwrap();
        for name in ["a.yaml", "b.yaml", "sub/c.yaml", "sub/d.txt"] {
            fs::create_dir_all(outside.path().join("sub")).unwrap();
            fs::write(outside.path().join(name), "x").unwrap();
        }
        for name in ["a.yaml", "b.yaml", "sub"] {
            std::os::unix::fs::symlink(outside.path().join(name), dir.path().join(name)).unwrap();
        }
        assert_eq!(folder.look().changed.len(), 3);
        let endless = |name: &str| {
            fs::remove_file(dir.path().join(name)).unwrap();
            std::os::unix::fs::symlink(name, dir.path().join(name)).unwrap();
        };
        endless("a.yaml");
        endless("sub");
        fs::remove_file(outside.path().join("b.yaml")).unwrap();
        let look = folder.look();
        assert_eq!(look.removed, [Box::<str>::from("b.yaml")]);
        assert_eq!(look.faults.iter().map(|(at, _)| &**at).collect::<Vec<_>>(), ["a.yaml", "sub"]);
        fs::remove_file(dir.path().join("sub")).unwrap();
        assert_eq!(folder.look().removed, [Box::<str>::from("sub/c.yaml")]);
    }

    #[test]
    fn the_data_dir_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let data = fs::canonicalize(dir.path()).unwrap().join("data");
        fs::create_dir(&data).unwrap();
        fs::write(data.join("a.yaml"), "a").unwrap();
        let mut folder = Folder::new(dir.path().to_owned(), Some(data));
        assert!(folder.look().changed.is_empty());
    }
}
