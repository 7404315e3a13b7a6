//! Where configuration comes from: a folder, or an operator through Redis.

use crate::args::Serve;
use crate::serve::ServeError;
use crate::source::redis::{self, Following};
use crate::source::{self, Files, World};
use crate::state::activate;
use crate::worker::Shared;
use smartflow_ledger::PodId;
use std::sync::Arc;

/// As the command line says.
pub(crate) enum Origin {
    Folder(source::Options),
    Operator(Box<redis::Options>),
}

/// Read for the first time, where that needs no network.
pub(crate) enum Opened {
    Folder(Box<Files>, Option<Box<World>>),
    Operator(Box<redis::Options>, PodId),
}

/// Followed; ends when it is dropped.
pub(crate) enum Watched {
    /// The thread ends with the process.
    Folder {
        _stop: source::Stop,
    },
    Operator {
        _following: Following,
    },
}

impl Origin {
    /// The folder where one is named: Redis is then for budgets alone.
    pub(crate) fn of(args: &Serve) -> Result<Self, ServeError> {
        let redis = args.redis.options()?;
        match (&args.world, redis) {
            (Some(world), _) => Ok(Self::Folder(source::Options {
                world: world.clone(),
                data_dir: args.data_dir.clone(),
                platform_namespaces: args.platform_namespaces.clone(),
            })),
            (None, Some(redis)) => {
                let config = &args.config;
                Ok(Self::Operator(Box::new(redis::Options {
                    redis,
                    sealing_key_file: config.sealing_key_file.clone().ok_or(ServeError::NoSealingKey)?,
                    data_dir: args.data_dir.clone(),
                    max_age: config.max_config_age,
                    last_good_max_age: config.last_good_max_age,
                    reads: config.config_level,
                })))
            }
            (None, None) => Err(ServeError::NoWorld),
        }
    }

    /// Looks whether there is anything to read, before anything is made.
    pub(crate) fn look(&self) -> Result<(), ServeError> {
        match self {
            Self::Folder(options) => Ok(source::readable(&options.world)?),
            Self::Operator(options) => Ok(options.has_keys()?),
        }
    }

    /// Reads the folder; `pod` is who follows an operator.
    pub(crate) fn open(self, pod: PodId) -> Result<Opened, ServeError> {
        match self {
            Self::Folder(options) => {
                let (files, first) = Files::open(&options)?;
                Ok(Opened::Folder(Box::new(files), Some(Box::new(first))))
            }
            Self::Operator(options) => Ok(Opened::Operator(options, pod)),
        }
    }
}

impl Opened {
    /// Lets what was read serve.
    pub(crate) fn activate(mut self, shared: &Shared) -> Self {
        if let Self::Folder(_, first) = &mut self
            && let Some(first) = first.take()
        {
            activate(shared, *first);
        }
        self
    }

    /// Follows, on threads of its own.
    pub(crate) fn watch(self, shared: &Arc<Shared>) -> Result<Watched, ServeError> {
        match self {
            Self::Folder(mut files, _) => {
                let stop = files.stop();
                let shared = shared.clone();
                let run = move || {
                    while let Some(world) = files.next_change() {
                        activate(&shared, world);
                    }
                };
                let thread = std::thread::Builder::new().name("source".to_owned());
                thread.spawn(run).map_err(ServeError::Start)?;
                Ok(Watched::Folder { _stop: stop })
            }
            Self::Operator(options, pod) => {
                Ok(Watched::Operator { _following: redis::follow(&options, pod, shared)? })
            }
        }
    }
}
