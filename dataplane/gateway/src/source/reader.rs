//! From what files hold to what serves: each look at the folder becomes changes of the compiled world.

use super::Options;
use super::credentials::{Credentials, Environment};
use super::data_dir::{DataDir, DataFault};
use super::files::{Content, Folder, Look};
use super::inventory::Inventory;
use super::last_good::Text;
use super::world::{Faulty, FileFindings, GeneratedKey, World};
use smartflow_compile::{
    Change, Compiled, Compiler, Finding, Item, Object, ObjectRef, Reason, Report, Serving, Settings,
    load_each, locate,
};
use smartflow_snapshot::{ObjectName, TokenHash};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Reads files, remembers who declares what, and compiles.
pub(super) struct Reader {
    pub(super) folder: Folder,
    pub(super) credentials: Credentials,
    /// `None` = nothing is kept and no token is made (`check`).
    data: Option<DataDir>,
    compiler: Compiler,
    inventory: Inventory,
    files: BTreeMap<Arc<str>, FileFindings>,
    /// Folders that could not be listed.
    folders: Vec<FileFindings>,
    faulty: Arc<BTreeMap<ObjectRef, Faulty>>,
    generated: BTreeMap<ObjectName, PathBuf>,
    faults: Vec<DataFault>,
}

/// What a file was found to hold.
struct Declared {
    objects: Vec<Object>,
    text: Text,
}

type Batch = BTreeMap<Arc<str>, Declared>;
/// One object as several files declare it.
type Copies = Vec<(Arc<str>, Object)>;

impl Reader {
    /// Nothing read yet.
    pub(super) fn new(options: &Options, environment: Environment, data: Option<DataDir>) -> Self {
        let settings = Settings { platform_namespaces: options.platform_namespaces.clone() };
        let skipped = std::fs::canonicalize(&options.data_dir).ok();
        Self {
            folder: Folder::new(options.world.clone(), skipped),
            credentials: Credentials::new(options.world.clone(), environment),
            data,
            compiler: Compiler::new(&settings),
            inventory: Inventory::default(),
            files: BTreeMap::new(),
            folders: Vec::new(),
            faulty: Arc::default(),
            generated: BTreeMap::new(),
            faults: Vec::new(),
        }
    }

    /// Takes in what a look found; `stale` files are read again although they did not change. True when anything that
    /// is told of the world may be different now.
    pub(super) fn absorb(&mut self, look: Look, stale: BTreeSet<Arc<str>>) -> Option<World> {
        let began = Instant::now();
        let folders: Vec<_> = look.faults.iter().map(|(folder, why)| unlisted(folder, why)).collect();
        let same =
            look.changed.is_empty() && look.removed.is_empty() && stale.is_empty() && folders == self.folders;
        if same {
            return None;
        }
        self.folders = folders;
        let removed: BTreeSet<Arc<str>> = look.removed.into_iter().map(Arc::from).collect();
        let batch = self.read(look.changed, stale, &removed);
        let changes = self.settle(batch, removed);
        let compiled = self.compiler.apply(changes);
        Some(self.tell(compiled, began.elapsed()))
    }

    /// Reads files, and those that share an object with one of them.
    fn read(
        &mut self,
        changed: BTreeMap<Box<str>, Content>,
        stale: BTreeSet<Arc<str>>,
        removed: &BTreeSet<Arc<str>>,
    ) -> Batch {
        let mut contents: BTreeMap<Arc<str>, Content> =
            changed.into_iter().map(|(file, content)| (file.into(), content)).collect();
        let mut queue: BTreeSet<Arc<str>> = contents.keys().cloned().chain(stale).collect();
        queue.extend(self.inventory.entangled(&queue.union(removed).cloned().collect()));
        let (mut batch, mut seen) = (Batch::new(), BTreeSet::new());
        while let Some(file) = queue.pop_first() {
            if removed.contains(&file) || !seen.insert(file.clone()) {
                continue;
            }
            let content = contents.remove(&file).unwrap_or_else(|| self.folder.read(&file));
            let Some(declared) = self.declared(&file, content) else { continue };
            let sharers = declared.objects.iter().flat_map(|o| self.inventory.files_of(o.id()));
            queue.extend(sharers.filter(|f| *f != file));
            // What this look finds in two files at once is seen when the second is read.
            batch.insert(file, declared);
        }
        batch
    }

    /// What `file` declares: by `content`, or, when that cannot be read, what it last declared. `None` = that is not
    /// known; what is in force stays.
    fn declared(&mut self, file: &Arc<str>, content: Content) -> Option<Declared> {
        let mut findings = FileFindings::none(file);
        let fault = match content {
            Content::Text(text) => match parse(&text, &mut findings) {
                Ok(objects) => {
                    let text = Arc::new(Zeroizing::new(text));
                    if let Some(data) = &mut self.data {
                        data.keep_text(file, Some(text.clone()));
                    }
                    self.files.insert(file.clone(), findings);
                    return Some(Declared { objects, text });
                }
                Err(fault) => fault,
            },
            Content::Unreadable(why) => {
                let fix = "Make it a text file that the gateway may read.";
                Finding::error(Reason::Syntax, "", format!("The file cannot be read: {why}."), fix)
            }
        };
        let kept = self.kept_text(file);
        let declared = kept.and_then(|text| {
            let objects = parse(&text, &mut findings).ok()?;
            Some(Declared { objects, text })
        });
        findings.findings.insert(0, fault);
        self.files.insert(file.clone(), findings);
        declared
    }

    fn kept_text(&mut self, file: &str) -> Option<Text> {
        let kept = self.data.as_ref()?.text(file);
        kept.unwrap_or_else(|fault| {
            self.faults.push(fault.into());
            None
        })
    }

    /// Changes that make the compiled world what the files declare now.
    fn settle(&mut self, batch: Batch, removed: BTreeSet<Arc<str>>) -> Vec<Change> {
        let reread: BTreeSet<Arc<str>> = batch.keys().cloned().chain(removed.iter().cloned()).collect();
        let mut gone = self.inventory.release(&reread);
        let (mut copies, mut texts) = (BTreeMap::<ObjectRef, Copies>::new(), BTreeMap::new());
        for file in &reread {
            self.credentials.forget(file);
        }
        for (file, Declared { objects, text }) in batch {
            for mut object in objects {
                self.inventory.declare(object.id(), &file);
                gone.remove(object.id());
                self.credentials.resolve(&mut object, &file);
                copies.entry(object.id().clone()).or_default().push((file.clone(), object));
            }
            texts.insert(file, text);
        }
        for file in &removed {
            self.files.remove(file);
            if let Some(data) = &mut self.data {
                data.keep_text(file, None);
            }
        }
        let mut changes = Vec::with_capacity(copies.len() + gone.len());
        for (id, copies) in copies {
            let object = self.one_of(&id, copies, &texts);
            changes.extend(object.map(|object| Change::Set(Box::new(self.completed(object)))));
        }
        // What is still declared by a file that could not be read again stays as it is.
        for id in gone.into_iter().filter(|id| self.inventory.file_of(id).is_none()).collect::<Vec<_>>() {
            self.generated.remove(&id.name);
            if let Some(data) = &mut self.data {
                data.keep_spec(&id, None);
            }
            changes.push(Change::Remove(id));
        }
        changes
    }

    /// The object, refused when it is declared more than once, with a finding in each place.
    fn one_of(
        &mut self,
        id: &ObjectRef,
        mut copies: Copies,
        texts: &BTreeMap<Arc<str>, Text>,
    ) -> Option<Object> {
        let files = self.inventory.files_of(id);
        if copies.len() == 1 && files.len() == 1 {
            return copies.pop().map(|(_, object)| object);
        }
        for file in &files {
            let finding = texts.get(file).map(|text| clash(id, file, &files, text));
            if let (Some(finding), Some(findings)) = (finding, self.files.get_mut(file)) {
                findings.findings.push(finding);
            }
        }
        let mut copies = copies.into_iter();
        let (file, first) = copies.next()?;
        let finding = clash(id, &file, &files, texts.get(&file).map_or("", |t| t.as_str()));
        Some(copies.fold(first, |object, (_, copy)| object.restricted_by(&copy)).refuse(finding))
    }

    /// The object with its last valid spec where it needs that, and with its token where one is to be made.
    fn completed(&mut self, object: Object) -> Object {
        let Some(data) = &mut self.data else { return object };
        let mut object = object;
        if let Some(spec) = object.spec() {
            data.keep_spec(object.id(), Some(spec));
        } else if !object.is_valid() {
            match data.spec(object.id()) {
                Ok(Some(spec)) => object = object.with_last_good(&spec),
                Ok(None) => {}
                Err(fault) => self.faults.push(fault.into()),
            }
        }
        if !object.needs_token() {
            self.generated.remove(&object.id().name);
            return object;
        }
        match data.token(&object.id().name) {
            Ok(generated) => {
                let token = TokenHash::of(generated.token.open().as_bytes());
                self.generated.insert(object.id().name.clone(), generated.path);
                object.with_token(token)
            }
            Err(fault) => {
                self.faults.push(fault.into());
                object
            }
        }
    }

    fn tell(&mut self, compiled: Compiled, took: Duration) -> World {
        let Compiled { snapshot, reports } = compiled;
        let is_plain = |r: &Report| r.findings.is_empty() && r.serving == Serving::Current;
        let gone: Vec<ObjectRef> =
            self.faulty.keys().filter(|id| self.inventory.file_of(id).is_none()).cloned().collect();
        if !gone.is_empty() || reports.iter().any(|r| !is_plain(r) || self.faulty.contains_key(&r.object)) {
            let faulty = Arc::make_mut(&mut self.faulty);
            gone.iter().for_each(|id| drop(faulty.remove(id)));
            for report in reports {
                match self.inventory.file_of(&report.object) {
                    Some(file) if !is_plain(&report) => {
                        let file = file.clone();
                        faulty.insert(report.object.clone(), Faulty { file, report });
                    }
                    _ => drop(faulty.remove(&report.object)),
                }
            }
        }
        World { compiled_in: took, ..self.world(snapshot) }
    }

    /// The world as it stands, with faults of the data dir that were not told yet.
    pub(super) fn world_again(&mut self) -> World {
        self.world(self.compiler.snapshot().clone())
    }

    fn world(&mut self, snapshot: smartflow_snapshot::Snapshot) -> World {
        let files = self.folders.iter().chain(self.files.values()).filter(|f| !f.findings.is_empty());
        let keys = self.generated.iter();
        World {
            snapshot,
            files: files.cloned().collect(),
            faulty: self.faulty.clone(),
            objects: self.inventory.len(),
            generated_keys: keys
                .map(|(name, path)| GeneratedKey { name: name.clone(), path: path.clone() })
                .collect(),
            data_faults: std::mem::take(&mut self.faults).into_iter().map(|f| f.to_string()).collect(),
            compiled_in: Duration::ZERO,
        }
    }

    /// Writes what is new to the data dir. True when there are faults to tell.
    pub(super) fn persist(&mut self) -> bool {
        let Some(data) = self.data.as_mut().filter(|d| d.is_behind()) else { return false };
        let faults = data.persist(|| self.inventory.identities(), |file| self.files.contains_key(file));
        self.faults.extend(faults);
        !self.faults.is_empty()
    }
}

/// Objects of a text; documents that are no objects go to `findings`.
fn parse(text: &str, findings: &mut FileFindings) -> Result<Vec<Object>, Finding> {
    let mut objects = Vec::new();
    load_each(text, |item| match item {
        Item::Object(object) => objects.push(*object),
        Item::Stray(finding) => findings.findings.push(finding),
    })?;
    Ok(objects)
}

fn clash(id: &ObjectRef, file: &Arc<str>, files: &BTreeSet<Arc<str>>, text: &str) -> Finding {
    let others: Vec<&str> = files.iter().filter(|f| *f != file).map(|f| &**f).collect();
    let place = if others.is_empty() { "this file".to_owned() } else { others.join(", ") };
    let message = format!("{id} is declared more than once: also in {place}.");
    let fix = "Delete all but one; until then its last valid spec serves, if there was one.";
    let at = locate(text, id, "metadata.name");
    Finding { at, ..Finding::error(Reason::DuplicateObject, "metadata.name", message, fix) }
}

fn unlisted(folder: &str, why: &str) -> FileFindings {
    let name = if folder.is_empty() { "." } else { folder };
    let message = format!("The folder cannot be read: {why}. What was last read from it stays in force.");
    let finding = Finding::error(Reason::Syntax, "", message, "Make it a folder that the gateway may read.");
    FileFindings { file: name.into(), findings: vec![finding] }
}
