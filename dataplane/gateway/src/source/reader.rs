//! From what files hold to what serves: each look at the folder becomes changes of the compiled world.

use super::Options;
use super::credentials::{Credentials, Environment};
use super::data_dir::{DataDir, DataFault};
use super::files::{Content, Folder, Look};
use super::generated_keys::Generated;
use super::inventory::Inventory;
use super::last_good::Text;
use super::world::{Faulty, FileFindings, GeneratedKey, World};
use smartflow_compile::{
    Change, Compiler, Finding, Item, Kind, Object, ObjectRef, Reason, Report, Serving, Settings, load_each,
    locate,
};
use smartflow_snapshot::{ObjectName, TokenHash};
use std::collections::{BTreeMap, BTreeSet};
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
    settings: Settings,
    inventory: Inventory,
    /// Files at fault.
    files: BTreeMap<Arc<str>, FileFindings>,
    /// Those among them that cannot be read as a whole: what they last declared is in force.
    unread: BTreeSet<Arc<str>>,
    /// Folders that could not be listed.
    folders: Vec<FileFindings>,
    faulty: Arc<BTreeMap<ObjectRef, Faulty>>,
    /// In order of name.
    generated: Arc<Vec<GeneratedKey>>,
    faults: Vec<DataFault>,
    /// What happened since the last world was told.
    news: News,
    /// Valid specs of what was last read from files before today; for the time of one look.
    earlier: BTreeMap<Arc<str>, BTreeMap<ObjectRef, Box<str>>>,
}

#[derive(Default)]
struct News {
    any: bool,
    /// Reports were not looked at one by one.
    in_parts: bool,
    took: Duration,
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
    pub(super) fn new(
        options: &Options,
        environment: Environment,
        data: Option<(DataDir, Vec<DataFault>)>,
    ) -> Self {
        let settings = Settings { platform_namespaces: options.platform_namespaces.clone() };
        let skipped = std::fs::canonicalize(&options.data_dir).ok();
        let (data, faults) = data.unzip();
        let mut credentials = Credentials::new(options.world.clone(), environment);
        credentials.variables = data.is_none().then(Vec::new);
        Self {
            folder: Folder::new(options.world.clone(), skipped),
            credentials,
            data,
            compiler: Compiler::new(&settings),
            settings,
            inventory: Inventory::default(),
            files: BTreeMap::new(),
            unread: BTreeSet::new(),
            folders: Vec::new(),
            faulty: Arc::default(),
            generated: Arc::default(),
            faults: faults.unwrap_or_default(),
            news: News::default(),
            earlier: BTreeMap::new(),
        }
    }

    /// Takes in what a look found; `stale` files are read again although they did not change.
    pub(super) fn take(&mut self, look: Look, stale: BTreeSet<Arc<str>>) {
        let began = Instant::now();
        let folders: Vec<_> = look.faults.iter().map(|(folder, why)| unlisted(folder, why)).collect();
        let same =
            look.changed.is_empty() && look.removed.is_empty() && stale.is_empty() && folders == self.folders;
        if same {
            return;
        }
        self.folders = folders;
        let removed: BTreeSet<Arc<str>> = look.removed.into_iter().map(Arc::from).collect();
        let batch = self.read(look.changed, stale, &removed);
        let changes = self.settle(batch, removed);
        let compiled = self.compiler.apply(changes);
        self.earlier.clear();
        self.news.in_parts |= look.more;
        if !self.news.in_parts {
            self.note(compiled.reports);
        }
        self.news.any = true;
        self.news.took += began.elapsed();
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
            for object in &declared.objects {
                // What this look finds in two files at once is seen when the second is read.
                let holder = self.inventory.file_of(object.id());
                if holder.is_some_and(|holder| *holder != file) {
                    queue.extend(self.inventory.files_of(object.id()));
                }
            }
            batch.insert(file, declared);
        }
        batch
    }

    /// What `file` declares: by `content`, or, when that cannot be read, what it last declared. `None` = that is not
    /// known; what is in force stays.
    fn declared(&mut self, file: &Arc<str>, content: Content) -> Option<Declared> {
        self.files.remove(file);
        self.unread.remove(file);
        let mut findings = Vec::new();
        let fault = match content {
            Content::Text(text) => match parse(&text, &mut findings) {
                Ok(mut objects) => {
                    let kept = self.kept_policies(file, &objects, &mut findings);
                    let text = Arc::new(Zeroizing::new(with_documents(text, &kept)));
                    objects.extend(kept);
                    if let Some(data) = &mut self.data {
                        data.keep_text(file, Some(&text));
                    }
                    self.blame(file, findings);
                    return Some(Declared { objects, text });
                }
                Err(fault) => fault,
            },
            Content::Unreadable(why) => {
                let fix = "Make it a text file that the gateway may read.";
                Finding::error(Reason::Syntax, "", format!("The file cannot be read: {why}."), fix)
            }
        };
        let declared = self.last_read(file).and_then(|text| {
            let objects = parse(&text, &mut findings).ok()?;
            Some(Declared { objects, text })
        });
        findings.insert(0, fault);
        self.blame(file, findings);
        self.unread.insert(file.clone());
        declared
    }

    /// Policies that `file` declared before and seems not to any more, while a document in it cannot be told: that one may
    /// be theirs, and a slip of the pen in a kind or a name must not lift a restriction.
    fn kept_policies(&mut self, file: &str, objects: &[Object], findings: &mut Vec<Finding>) -> Vec<Object> {
        let Some(lost) = findings.iter().find(|f| !is_foreign(f)).cloned() else { return Vec::new() };
        let before = self.last_read(file).and_then(|text| parse(&text, &mut Vec::new()).ok());
        let mut kept = before.unwrap_or_default();
        kept.retain(|old| {
            let elsewhere = self.inventory.file_of(old.id()).is_some_and(|holder| **holder != *file);
            old.id().kind == Kind::Policy && !elsewhere && objects.iter().all(|o| o.id() != old.id())
        });
        if !kept.is_empty() {
            let names: Vec<String> = kept.iter().map(|o| o.id().name.to_string()).collect();
            let message = format!("This may be one of {}: they stay in force.", names.join(", "));
            let fix = "Correct this document, or remove it; then what is not declared any more is gone.";
            findings.push(Finding { at: lost.at, ..Finding::error(lost.reason, &lost.path, message, fix) });
        }
        kept
    }

    fn blame(&mut self, file: &Arc<str>, mut findings: Vec<Finding>) {
        if !findings.is_empty() {
            let all = self.files.entry(file.clone()).or_insert_with(|| FileFindings::none(file));
            all.findings.append(&mut findings);
        }
    }

    fn last_read(&mut self, file: &str) -> Option<Text> {
        let kept = self.data.as_ref()?.last_read(file);
        kept.unwrap_or_else(|fault| {
            self.faults.push(fault.into());
            None
        })
    }

    /// Changes that make the compiled world what the files declare now.
    fn settle(&mut self, batch: Batch, removed: BTreeSet<Arc<str>>) -> Vec<Change> {
        let reread: BTreeSet<Arc<str>> = batch.keys().cloned().chain(removed.iter().cloned()).collect();
        let released = self.inventory.release(&reread);
        let mut copies = BTreeMap::<ObjectRef, Copies>::new();
        let mut texts = BTreeMap::new();
        reread.iter().for_each(|file| self.credentials.forget(file));
        for (file, Declared { objects, text }) in batch {
            self.inventory.declare(&file, objects.iter().map(Object::id));
            for mut object in objects {
                self.credentials.resolve(&mut object, &file);
                copies.entry(object.id().clone()).or_default().push((file.clone(), object));
            }
            texts.insert(file, text);
        }
        for file in &removed {
            self.files.remove(file);
            self.unread.remove(file);
            if let Some(data) = &mut self.data {
                data.keep_text(file, None);
            }
        }
        let mut changes = Vec::with_capacity(copies.len());
        // What is still declared by a file that could not be read again stays as it is.
        for id in
            released.iter().filter(|id| !copies.contains_key(id) && self.inventory.file_of(id).is_none())
        {
            self.data.iter_mut().for_each(|data| data.keep_spec(id, None));
            forget_key(&mut self.generated, &id.name);
            changes.push(Change::Remove(id.clone()));
        }
        for (id, copies) in copies {
            let Some(object) = self.one_of(&id, copies, &texts) else { continue };
            let before = if released.contains(&id) { Some(&reread) } else { None };
            let object = self.with_last_good(object.confined(&self.settings), before);
            changes.push(Change::Set(Box::new(self.with_token(object))));
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
            if let Some(text) = texts.get(file) {
                self.blame(file, vec![clash(id, file, &files, text)]);
            }
        }
        let mut copies = copies.into_iter();
        let (file, first) = copies.next()?;
        let finding = clash(id, &file, &files, texts.get(&file).map_or("", |t| t.as_str()));
        Some(copies.fold(first, |object, (_, copy)| object.restricted_by(&copy)).refuse(finding))
    }

    /// The object with its last valid spec where it needs that: the one that was kept, else the one that its file
    /// declared before, or one of the files `before` that it has moved from.
    fn with_last_good(&mut self, object: Object, before: Option<&BTreeSet<Arc<str>>>) -> Object {
        let Some(data) = &mut self.data else { return object };
        if object.is_valid() {
            data.keep_spec(object.id(), None);
            return object;
        }
        match data.spec(object.id()) {
            Ok(Some(spec)) => return object.with_last_good(&spec),
            Ok(None) => {}
            Err(fault) => self.faults.push(fault.into()),
        }
        let mut files = self.inventory.files_of(object.id());
        files.extend(before.into_iter().flatten().cloned());
        let mut found: Option<Box<str>> = None;
        for file in files {
            if let Some(spec) = self.earlier(&file).get(object.id()).cloned() {
                if found.is_some() {
                    // It was declared twice: nobody knows which one was meant.
                    return object;
                }
                found = Some(spec);
            }
        }
        match (found, &mut self.data) {
            (Some(spec), Some(data)) => {
                data.keep_spec(object.id(), Some(&spec));
                object.with_last_good(&spec)
            }
            _ => object,
        }
    }

    /// Valid specs of what is on disk of a file: what it declared before it was read just now.
    fn earlier(&mut self, file: &Arc<str>) -> &BTreeMap<ObjectRef, Box<str>> {
        let Self { earlier, data, faults, .. } = self;
        earlier.entry(file.clone()).or_insert_with(|| {
            let text = data.as_ref().map(|data| data.text(file)).transpose().unwrap_or_else(|fault| {
                faults.push(fault.into());
                None
            });
            let (mut specs, mut seen) = (BTreeMap::new(), BTreeSet::new());
            for object in
                text.flatten().and_then(|text| parse(&text, &mut Vec::new()).ok()).into_iter().flatten()
            {
                if !seen.insert(object.id().clone()) {
                    specs.remove(object.id());
                } else if let Some(spec) = object.spec() {
                    specs.insert(object.id().clone(), spec.into());
                }
            }
            specs
        })
    }

    /// The object with its token where one is to be made. It is kept under the name of the Secret that it belongs in.
    fn with_token(&mut self, object: Object) -> Object {
        let name = object.id().name.clone();
        let Some(data) = self.data.as_mut().filter(|_| object.needs_token()) else {
            if object.id().kind == Kind::VirtualKey {
                forget_key(&mut self.generated, &name);
            }
            return object;
        };
        match data.token(&object.token_secret()) {
            Ok(Generated { path, token }) => {
                match self.generated.binary_search_by(|k| k.name.cmp(&name)) {
                    Ok(at) if self.generated[at].path == path => {}
                    Ok(at) => Arc::make_mut(&mut self.generated)[at].path = path,
                    Err(at) => Arc::make_mut(&mut self.generated).insert(at, GeneratedKey { name, path }),
                }
                object.with_token(TokenHash::of(token.open().as_bytes()))
            }
            Err(fault) => {
                self.faults.push(fault.into());
                object
            }
        }
    }

    /// Takes note of reports; objects that are gone have none.
    fn note(&mut self, reports: Vec<Report>) {
        let inventory = &self.inventory;
        let gone: Vec<ObjectRef> =
            self.faulty.keys().filter(|id| inventory.file_of(id).is_none()).cloned().collect();
        if gone.is_empty() && reports.iter().all(|r| is_plain(r) && !self.faulty.contains_key(&r.object)) {
            return;
        }
        let faulty = Arc::make_mut(&mut self.faulty);
        gone.iter().for_each(|id| drop(faulty.remove(id)));
        for report in reports {
            match inventory.file_of(&report.object) {
                Some(file) if !is_plain(&report) => {
                    let file = file.clone();
                    faulty.insert(report.object.clone(), Faulty { file, report });
                }
                _ => drop(faulty.remove(&report.object)),
            }
        }
    }

    /// The world as it stands, if there is anything new.
    pub(super) fn told(&mut self) -> Option<World> {
        let News { any, in_parts, took } = std::mem::take(&mut self.news);
        if !any && self.faults.is_empty() {
            return None;
        }
        if in_parts {
            let reports = self.compiler.objects().filter_map(|id| self.compiler.report(&id));
            let faulty = reports.filter(|r| !is_plain(r)).filter_map(|report| {
                let file = self.inventory.file_of(&report.object)?.clone();
                Some((report.object.clone(), Faulty { file, report }))
            });
            self.faulty = Arc::new(faulty.collect());
        }
        Some(World { compiled_in: took, ..self.world() })
    }

    /// The world as it stands.
    pub(super) fn world(&mut self) -> World {
        let mut files: Vec<FileFindings> = self.folders.iter().chain(self.files.values()).cloned().collect();
        for file in files.iter_mut().filter(|f| self.unread.contains(&f.file)) {
            file.kept = self.inventory.objects_of(&file.file).collect();
        }
        World {
            folder: self.folder.root().to_owned(),
            snapshot: self.compiler.snapshot().clone(),
            revision: None,
            files,
            faulty: self.faulty.clone(),
            objects: self.inventory.len(),
            generated_keys: self.generated.clone(),
            variables: self.credentials.variables.clone().unwrap_or_default(),
            data_faults: std::mem::take(&mut self.faults).into_iter().map(|f| f.to_string()).collect(),
            compiled_in: Duration::ZERO,
        }
    }

    /// Writes what is new to the data dir. What did not work is told with the next world.
    pub(super) fn persist(&mut self) {
        let Self { data, folder, inventory, faults, .. } = self;
        let Some(data) = data.as_mut().filter(|d| d.is_behind()) else { return };
        let read = |file: &str| match folder.read(file) {
            Content::Text(text) => Some(text),
            Content::Unreadable(_) => None,
        };
        faults.extend(data.persist(
            read,
            |name| inventory.holder(name).is_some(),
            |file| folder.contains(file),
        ));
    }
}

fn is_plain(report: &Report) -> bool {
    report.findings.is_empty() && report.serving == Serving::Current
}

fn forget_key(generated: &mut Arc<Vec<GeneratedKey>>, name: &ObjectName) {
    if let Ok(at) = generated.binary_search_by(|k| k.name.cmp(name)) {
        Arc::make_mut(generated).remove(at);
    }
}

/// Objects of a text; documents that are no objects go to `findings`.
fn parse(text: &str, findings: &mut Vec<Finding>) -> Result<Vec<Object>, Finding> {
    let mut objects = Vec::new();
    load_each(text, |item| match item {
        Item::Object(object) => objects.push(*object),
        Item::Stray(finding) => findings.push(finding),
    })?;
    Ok(objects)
}

/// True of a document that was never meant for us, such as a ConfigMap.
fn is_foreign(stray: &Finding) -> bool {
    stray.reason == Reason::UnknownKind && &*stray.path == "kind" && !stray.fix.starts_with("Did you mean")
}

/// `text`, and what is kept beside it, so that reading it again declares both.
fn with_documents(mut text: String, kept: &[Object]) -> String {
    for object in kept {
        let ObjectRef { kind, name } = object.id();
        let (version, kind) = (kind.api_version(), kind.as_str());
        // An invalid one has no spec that could be kept: it stays closed, on all that it may concern.
        let spec = object.spec().unwrap_or("{}");
        text.push_str(&format!(
            "\n---\n{{\"apiVersion\": \"{version}\", \"kind\": \"{kind}\", \"metadata\": {{\"namespace\": \"{}\", \"name\": \"{}\"}}, \"spec\": {spec}}}\n",
            name.namespace, name.name
        ));
    }
    text
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
    let message = format!("This cannot be read: {why}. What was last read from it stays in force.");
    let fix = "Make it a folder, or a file, that the gateway may read.";
    let finding = Finding::error(Reason::Syntax, "", message, fix);
    FileFindings { findings: vec![finding], ..FileFindings::none(&name.into()) }
}
