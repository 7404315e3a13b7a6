//! From a credential to who calls.

pub mod caller;
pub mod virtual_key;

pub use caller::Caller;
