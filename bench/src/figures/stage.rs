//! The stage: folders, mocks and worlds of a run, and how what is measured gets started.

use super::{Args, Fault, Plan, kits, note};
use crate::call::{call, free_address};
use crate::kit::{Kit, Measure, Test, path_text, words};
use crate::load::Kind;
use crate::program::{Cores, Program, pause};
use crate::world;
use rustix::thread::{CpuSet, sched_setaffinity};
use std::cell::Cell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a gateway may take to its first answer; the large world is read in this time.
const START: Duration = Duration::from_secs(180);
/// Pause between two tries to get a first answer.
const RETRY: Duration = Duration::from_micros(500);
/// Rest before memory is read.
const REST: Duration = Duration::from_secs(2);

/// What all figures share.
pub struct Stage {
    /// How thoroughly to measure.
    pub plan: Plan,
    /// Where programs run.
    pub cores: Cores,
    /// Keys of the large world.
    pub keys: u32,
    /// One for each kit; the first is ours.
    pub sessions: Vec<Session>,
    gateway: PathBuf,
    folder: TempDir,
    serial: Cell<u32>,
}

/// A kit with its mock running and a world that points at it.
pub struct Session {
    /// Whose parts.
    pub kit: Kit,
    /// Address of the mock.
    pub vendor: SocketAddr,
    /// The mock.
    pub mock: Program,
    /// Folder of a world with one key.
    pub world: PathBuf,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The least that a gateway must do.
    Floor,
    /// Smartflow.
    Gateway,
}

/// Something that answers.
pub struct Running {
    /// Its process.
    pub program: Program,
    /// Where it serves.
    pub address: SocketAddr,
    /// Where it tells about itself; the floor does not.
    pub admin: SocketAddr,
    /// From the start of the process to the end of the first good answer.
    pub first_answer: Duration,
}

impl Stage {
    /// Makes folders and starts the mocks.
    ///
    /// # Errors
    /// When a folder, port or mock cannot be had.
    pub fn open(args: &Args) -> Result<Self, Fault> {
        pin_driver(args.cores)?;
        std::fs::create_dir_all(&args.out).map_err(Fault::system(path_text(&args.out)))?;
        let out = args.out.canonicalize().map_err(Fault::system(path_text(&args.out)))?;
        let folder = TempDir::new_in(&out).map_err(Fault::system("making a folder"))?;
        let own = std::env::current_exe().map_err(Fault::system("finding this program"))?;
        let gateway = args.gateway.canonicalize().map_err(Fault::system(path_text(&args.gateway)))?;
        let mut stage = Self {
            plan: Plan::of(args),
            cores: args.cores,
            keys: args.keys,
            sessions: Vec::new(),
            serial: Cell::new(0),
            gateway,
            folder,
        };
        for kit in kits(args, own) {
            let session = stage.session(kit)?;
            stage.sessions.push(session);
        }
        Ok(stage)
    }

    fn session(&self, kit: Kit) -> Result<Session, Fault> {
        let vendor = free_address().map_err(Fault::system("finding a port"))?;
        let log = self.fresh("log");
        let mock = self.cores.beside(&kit.mock(vendor), &log)?;
        let world = self.fresh("world");
        world::write(&world, vendor, 1).map_err(Fault::system("writing a world"))?;
        let began = Instant::now();
        while let Err(source) = kit.pace(vendor) {
            if began.elapsed() > Duration::from_secs(10) {
                return Err(Fault::Load { subject: format!("mock of {}", kit.name()), source });
            }
            pause(Duration::from_millis(5));
        }
        Ok(Session { kit, vendor, mock, world })
    }

    /// Our own session.
    ///
    /// # Errors
    /// None once the stage is open: it always has one.
    pub fn own(&self) -> Result<&Session, Fault> {
        self.sessions.first().ok_or_else(|| Fault::system("no session")(std::io::ErrorKind::NotFound.into()))
    }

    /// A path inside the run's folder that nothing has yet.
    pub fn fresh(&self, name: &str) -> PathBuf {
        self.serial.set(self.serial.get() + 1);
        self.folder.path().join(format!("{name}-{}", self.serial.get()))
    }

    /// Starts a subject and waits for its first good answer.
    ///
    /// # Errors
    /// When it does not start or does not answer.
    pub fn start(&self, session: &Session, subject: Subject) -> Result<Running, Fault> {
        match subject {
            Subject::Floor => {
                let address = free_address().map_err(Fault::system("finding a port"))?;
                let argv = session.kit.floor(address, session.vendor);
                self.launch("floor", &argv, address, address)
            }
            Subject::Gateway => self.gateway(&session.world),
        }
    }

    /// Starts the gateway on a world, with an empty data folder, as anyone would start it.
    ///
    /// # Errors
    /// When it does not start or does not answer.
    pub fn gateway(&self, world: &std::path::Path) -> Result<Running, Fault> {
        let address = free_address().map_err(Fault::system("finding a port"))?;
        let admin = free_address().map_err(Fault::system("finding a port"))?;
        let data = self.fresh("data");
        let (listen, admin_listen) = (address.to_string(), admin.to_string());
        let mut argv = words(&[&path_text(&self.gateway), "--world", &path_text(world)]);
        argv.extend(words(&["--data-dir", &path_text(&data)]));
        argv.extend(words(&["--listen", &listen, "--admin-listen", &admin_listen]));
        self.launch("gateway", &argv, address, admin)
    }

    fn launch(
        &self,
        name: &str,
        argv: &[String],
        address: SocketAddr,
        admin: SocketAddr,
    ) -> Result<Running, Fault> {
        let log = self.fresh("log");
        let mut program = self.cores.measured(argv, &log)?;
        let model = world::OPENAI_MODEL;
        let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hello"}}]}}"#);
        let headers = [world::credential(Kind::Chat)];
        let mut last = String::new();
        while program.began.elapsed() < START {
            match call(address, "/v1/chat/completions", &headers, Some(&body)) {
                Ok(answer) if answer.status == 200 && answer.text.contains("\"choices\"") => {
                    let first_answer = program.began.elapsed();
                    return Ok(Running { program, address, admin, first_answer });
                }
                Ok(answer) => last = format!("{} {}", answer.status, answer.text),
                Err(fault) => last = fault.to_string(),
            }
            program.alive()?;
            pause(RETRY);
        }
        let (subject, log) = (name.to_owned(), program.log_end());
        Err(Fault::Silent { subject, seconds: START.as_secs(), last, log })
    }

    /// Runs one load and says what it found.
    ///
    /// # Errors
    /// When the load gives no figure.
    pub fn load(
        &self,
        session: &Session,
        name: &str,
        running: &Running,
        test: Test,
    ) -> Result<Measure, Fault> {
        let subject = format!("{name} ({})", session.kit.name());
        let span = self.plan.span();
        let measure = session.kit.measure(self.cores, test, running.address, running.program.pid(), span);
        let measure = measure.map_err(|source| Fault::Load { subject: subject.clone(), source })?;
        note(&format!(
            "{subject:22} {:32} {:8.0}/s  {:7.2} us/request  {:6.2} us/event  {:3.0} % of its core",
            test.name,
            measure.per_second,
            measure.cpu_us_per_request,
            measure.cpu_us_per_event,
            measure.cpu_share * 100.0
        ));
        Ok(measure)
    }
}

impl Running {
    /// Resident memory in bytes, after a rest.
    #[must_use]
    pub fn resident_at_rest(&self) -> u64 {
        pause(REST);
        crate::watch::read(&crate::watch::tree(self.program.pid())).resident
    }
}

/// Keeps the driver off the core of what it measures.
fn pin_driver(cores: Cores) -> Result<(), Fault> {
    let mut set = CpuSet::new();
    set.set(usize::from(cores.load_core));
    sched_setaffinity(None, &set).map_err(|errno| Fault::system("pinning the driver")(errno.into()))
}
