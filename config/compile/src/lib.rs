//! Resources to a [`smartflow_snapshot::Snapshot`] and reports. Pure and total: no I/O, no clock, no randomness; every
//! fault of every object is collected, and one bad object takes nobody else down.
//!
//! ```text
//! text ── load / load_each ──► Object      unknown fields, defaults, structure, CEL, then each value by itself
//!                                │ with_last_good(spec)   where it is invalid and a valid spec was kept
//!                                │ secret_values()        where Secrets refer to the environment or to files
//!                                │ with_token(hash)       where needs_token() says that one is to be made
//!                                │ refuse(finding)        where only the source knows of a fault
//!                                ▼
//!            compile(&Resources, &Settings)  or  Compiler::apply(changes)
//!                                ▼
//!            Compiled { snapshot, reports }   Report::conditions, locate(text, object, path)
//! ```
//!
//! ```text
//! Compiler::carry(object) ──► Carried ──► Object::carried      from the operator to the pods, which compile it again
//! ```
//!
//! [`compile`] is [`Compiler::apply`] on an empty compiler; a property test holds any sequence of changes equal to
//! compiling the outcome at once. Cost of a change is that of what it touches: a key, its descendants and whoever has
//! the same token; a provider, its namespace's names and the keys that grant them.

mod carry;
mod catalog;
mod compiler;
mod finding;
mod kind;
mod load;
mod manifest;
mod object;
mod path;
mod report;
mod resources;
mod schema;
mod value;
mod yaml;

pub use carry::{Carried, LEVEL, Restraint};
pub use catalog::{Entry, EntryAuth, EntryProtocol, catalog};
pub use compiler::{Change, Compiled, Compiler, compile};
pub use finding::{Condition, Finding, Position, Reason, Severity};
pub use kind::secret::SecretValue;
pub use load::{Item, Loaded, load, load_each, locate, locate_all};
pub use object::{Kind, Object, ObjectRef};
pub use report::{ConditionState, Programmed, Report, Serving};
pub use resources::{Resources, Settings};
pub use yaml::{MAX_DEPTH, MAX_NODES, MAX_TEXT};
