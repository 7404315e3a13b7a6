//! Why something could not be published.

use crate::revision::Revision;
use crate::seal::SealError;
use smartflow_compile::ObjectRef;
use smartflow_store::redis::Error;

/// Why something could not be published.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PublishError {
    /// Redis did not do it, or did not say whether it did. Publish again: what was done is not done twice.
    #[error(transparent)]
    Store(#[from] Error),
    /// It could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Somebody publishes with a later epoch: this one leads no more.
    #[error("another leader publishes since {0}")]
    Fenced(Revision),
    /// What is in Redis is not what was published: [`Publisher::take_over`](super::Publisher::take_over), then publish
    /// everything.
    #[error("what is in Redis is not what was published: {0}")]
    Lost(String),
    /// What is in Redis of an object is not what was published, so that nothing can be taken from it.
    #[error("what is in Redis of {0} is not what was published")]
    Unproven(ObjectRef),
    /// [`Publisher::take_over`](super::Publisher::take_over) comes first.
    #[error("nothing can be published or recalled before the published set was read")]
    NotLeading,
    /// The sealing key that was asked for is not in the ring.
    #[error("sealing key {0} is not among those that were given")]
    NoSuchKey(crate::key::KeyId),
}
