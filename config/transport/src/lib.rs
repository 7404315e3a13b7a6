//! Configuration from operator to pods, over Redis. Rules: config-transport.md, T1 to T9; tests name them.
//!
//! ```text
//! operator                                   Redis                            pod
//! Compiler::carry(object) ── publisher ──►   entries, head, stream   ──► follower ── Object::carried ──► Compiler
//!         Fleet            ◄── look ──       gateways                ◄── Beacon
//! ```
//!
//! Every object is one entry, sealed (AES-256-GCM-SIV); names of entries are HMACs. The sealed head says which set of
//! entries is the whole configuration, by a digest that is kept incrementally: a pod takes only a set that equals its
//! head, so that whoever can write to Redis can at most hold it up. Pods run the same compiler as the operator, on the same
//! objects, and come to the same content hash; the head carries the operator's, so that a difference is seen.
//!
//! How an operator uses it:
//! ```no_run
//! # async fn run(redis: smartflow_store::redis::Redis, key_file: String) -> Result<(), Box<dyn std::error::Error>> {
//! # let (now, lease_epoch) = (0, 0);
//! # let everything: Vec<(smartflow_compile::ObjectRef, smartflow_compile::Carried)> = Vec::new();
//! # let changes: Vec<(smartflow_compile::ObjectRef, Option<smartflow_compile::Carried>)> = Vec::new();
//! # let (content, settings) = Default::default();
//! use smartflow_transport::{Fleet, Ring, publisher::{Publisher, Standing, World}};
//! let mut publisher = Publisher::new(redis, Ring::parse(&key_file)?);
//! let mut fleet = Fleet::default();
//! // On leadership, once every kind is synced:
//! let taken = publisher.take_over(now, lease_epoch).await?; // note taken.epoch on the Lease
//! let world = World { content, settings, now }; // of Compiler::snapshot().hash
//! let at = publisher.publish_all(everything, &world).await?;
//! // For each object in `reports` of a change: Compiler::carry, or None when it is gone or not to be carried.
//! let at = publisher.publish(changes, &world).await?;
//! // Many times a second:
//! let look = publisher.look().await?;
//! fleet.hear(look.beats);
//! let programmed = fleet.reached().is_some_and(|reached| reached >= at);
//! if let Standing::Lost(_) = look.standing { /* take_over, publish_all */ }
//! // Rotation of the sealing key: when the file has two keys and everybody knows the newer one.
//! # let ring = Ring::parse(&key_file)?;
//! if publisher.sealing_key() != ring.newest() && fleet.knows(ring.newest()) {
//!     publisher.seal_with(ring.newest())?; // while must_reseal(): publish_all
//! }
//! # Ok(()) }
//! ```

mod beat;
mod digest;
mod entry;
mod fleet;
pub mod follower;
mod head;
mod key;
pub mod publisher;
mod record;
mod revision;
mod seal;
mod set;
mod shelf;

pub use beat::Beat;
pub use digest::Field;
pub use entry::Class;
pub use fleet::{FRESH, Fleet, GONE, Heard};
pub use head::Head;
pub use key::{KeyId, Ring, RingError};
pub use revision::{NotARevision, Revision, mint};
pub use seal::SealError;
