//! What pods share outside themselves. One room so far: [`redis`], the connection of operator, gateway and ledger.

pub mod redis;
