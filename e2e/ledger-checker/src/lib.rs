//! An independent ledger checker. It shares no code with the ledger: it reads what clients saw, what the mock vendors
//! served by their own counts, what pods wrote (usage lines, spend files, statements) and what the lender holds, and says
//! where they disagree. The rules are those of `ledger.md`, "What proves it".
//!
//! [`evidence`] is all that it judges by, plain data that can be kept in a file; [`judge`] is the judgement, without I/O;
//! [`lender`] and [`pod`] read the files of the product by parsers of their own; [`run`] makes evidence: randomized runs
//! of the real programs, the same plan again for the same seed.

pub mod account;
mod checksum;
pub mod evidence;
pub mod judge;
pub mod lender;
pub mod pod;
pub mod run;
