//! Redis as operator, gateway and ledger use it: one shared connection that is replaced for ever when it fails, and
//! connections of one's own for what blocks.
//!
//! A command either answers within its timeout or fails with a typed [`Error`]; nothing queues while Redis is away. The
//! first command that is not answered in time takes the connection out of use (a half-open master acknowledges and never
//! answers), and until a fresh one has answered a probe within the same timeout every command fails at once: that is the
//! circuit breaker. Fresh connections are tried without end, with full jitter.

mod address;
mod backoff;
mod dedicated;
mod dial;
mod error;
#[cfg(feature = "flags")]
mod flags;
mod handle;
mod keeper;
mod options;
mod script;
mod sentinel;
mod socket;
mod state;
mod tls;

pub use self::{
    address::{Address, AddressError, Host},
    dedicated::Dedicated,
    error::Error,
    handle::Redis,
    options::{Options, Password, SetupError},
    script::Script,
    state::{Server, State},
};
#[cfg(feature = "flags")]
pub use flags::RedisFlags;
pub use redis::{Cmd, FromRedisValue, Pipeline, ToRedisArgs, Value, cmd, from_redis_value, pipe, streams};
