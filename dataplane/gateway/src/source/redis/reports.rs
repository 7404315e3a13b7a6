//! Activations as worlds: what is wrong with which object is kept from one to the next.

use crate::source::{Faulty, World};
use smartflow_compile::{ObjectRef, Serving};
use smartflow_ledger::Revision;
use smartflow_transport::follower::Activation;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where such objects are said to be from.
const PLACE: &str = "(operator)";

/// Objects at fault so far.
#[derive(Default)]
pub(super) struct Reports {
    faulty: Arc<BTreeMap<ObjectRef, Faulty>>,
}

impl Reports {
    /// The world that serves from now on.
    pub(super) fn world(&mut self, activation: &mut Activation) -> World {
        let reports = std::mem::take(&mut activation.reports);
        let known = |object: &ObjectRef| self.faulty.contains_key(object);
        let plain = |r: &smartflow_compile::Report| r.findings.is_empty() && r.serving == Serving::Current;
        let news = reports.iter().any(|r| !plain(r) || known(&r.object)) || activation.gone.iter().any(known);
        if news {
            let faulty = Arc::make_mut(&mut self.faulty);
            for object in &activation.gone {
                faulty.remove(object);
            }
            for report in reports {
                match plain(&report) {
                    true => drop(faulty.remove(&report.object)),
                    false => {
                        let file = PLACE.into();
                        faulty.insert(report.object.clone(), Faulty { file, report });
                    }
                }
            }
        }
        // Every gateway says the same of how new a limit is, whichever started last.
        let at = activation.head.at;
        World {
            folder: std::path::PathBuf::new(),
            snapshot: activation.snapshot.clone(),
            revision: Some(Revision { epoch: at.epoch, number: at.number }),
            files: Vec::new(),
            faulty: self.faulty.clone(),
            objects: usize::try_from(activation.objects).unwrap_or(usize::MAX),
            generated_keys: Arc::default(),
            data_faults: Vec::new(),
            variables: Vec::new(),
            compiled_in: activation.took,
        }
    }
}
