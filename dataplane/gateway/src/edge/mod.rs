//! Where calls come in: listeners, limits, routes, and the one place where a fault becomes an answer.

pub mod body;
pub mod connection;
pub mod drain;
pub mod fault;
pub mod framing;
pub mod linger;
pub mod listener;
pub mod multiplexed;
pub mod patience;
pub mod preface;
pub mod rescue;
pub mod routes;
pub mod streams;
pub mod tls;
