//! Writes what served last, off the path: on a thread of its own.

use super::last_good::LastGood;
use super::whole::Whole;
use crate::key::Ring;
use crate::record::Record;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Activations that wait to be written. Whoever adds more waits.
const WAITING: usize = 64;

/// What is to be kept of an activation.
#[derive(Debug)]
pub enum Save {
    /// All of it.
    Whole(Whole),
    /// What changed.
    More(Records),
}

/// Records that follow upon what was kept before.
#[derive(Debug)]
pub struct Records(pub(crate) Vec<Record>);

enum Job {
    Save(Save),
    /// What was kept is what is published.
    Confirm,
    /// Sealing keys are these now.
    Keys(Ring),
}

/// The thread that writes. Ends, with all written, when it is dropped.
pub struct Saver {
    jobs: Option<SyncSender<Job>>,
    behind: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Saver {
    /// Starts the thread. `failed` is told what could not be written.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn start(
        file: LastGood,
        ring: Ring,
        install: String,
        failed: impl Fn(&str) + Send + 'static,
    ) -> io::Result<Self> {
        let (jobs, incoming) = sync_channel(WAITING);
        let behind = Arc::new(AtomicBool::new(false));
        let mark = behind.clone();
        let run = move || write(file, ring, &install, &incoming, &mark, &failed);
        let thread = std::thread::Builder::new().name("last-good".to_owned()).spawn(run)?;
        Ok(Self { jobs: Some(jobs), behind, thread: Some(thread) })
    }

    /// Keeps what was activated.
    pub fn save(&self, save: Save) {
        self.send(Job::Save(save));
    }

    /// What was kept is what is published, now.
    pub fn confirm(&self) {
        self.send(Job::Confirm);
    }

    /// Takes other keys: what is sealed with them is complete or not, which decides what a shorter file may leave out.
    pub fn set_ring(&self, ring: Ring) {
        self.send(Job::Keys(ring));
    }

    /// True when something could not be written, so that a whole set is needed again.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.behind.load(Ordering::Relaxed)
    }

    fn send(&self, job: Job) {
        // The thread lives as long as this.
        let _ = self.jobs.as_ref().map(|jobs| jobs.send(job));
    }
}

impl Drop for Saver {
    fn drop(&mut self) {
        self.jobs = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn write(
    mut file: LastGood,
    mut ring: Ring,
    install: &str,
    jobs: &Receiver<Job>,
    behind: &AtomicBool,
    failed: &(impl Fn(&str) + Send),
) {
    while let Ok(job) = jobs.recv() {
        let job = match job {
            Job::Keys(keys) => {
                ring = keys;
                continue;
            }
            job => job,
        };
        let done = match &job {
            Job::Keys(_) => Ok(()),
            Job::Save(Save::Whole(whole)) => {
                let written = file.write(whole);
                behind.store(written.is_err(), Ordering::Relaxed);
                written
            }
            // What is missing in between makes them worthless.
            Job::Save(Save::More(_)) | Job::Confirm if behind.load(Ordering::Relaxed) => Ok(()),
            Job::Save(Save::More(Records(records))) => {
                let written = file.append(records, &ring, install);
                behind.store(written.is_err(), Ordering::Relaxed);
                written
            }
            Job::Confirm => file.confirm(),
        };
        if let Err(fault) = done {
            failed(&fault.to_string());
        }
    }
}
