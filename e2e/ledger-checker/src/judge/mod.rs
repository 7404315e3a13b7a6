//! The judgement: every rule looks at all of the evidence and says where it is broken.

mod bills;
mod books;
mod cap;
mod files;
mod pace;
mod rest;
mod statements;
mod sums;
mod trial;

pub use pace::{Measured, judge_pace};
pub use trial::{Rule, Summary, Verdict, Violation};

use crate::evidence::Evidence;
use trial::Trial;

/// Judges a run.
#[must_use]
pub fn judge(evidence: &Evidence) -> Verdict {
    let mut trial = Trial::open(evidence);
    bills::check(&mut trial);
    cap::check(&mut trial);
    sums::check(&mut trial);
    rest::check(&mut trial);
    files::check(&mut trial);
    statements::check(&mut trial);
    trial.close()
}
