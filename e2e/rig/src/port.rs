//! Free ports.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Ports begin here.
const FIRST: u16 = 10_000;
/// So many of them: below those that `smartflow-e2e` takes for gateways, and those of outgoing connections.
const COUNT: u32 = 9_900;

/// A port that is free on 127.0.0.1, below those that the kernel gives to outgoing connections: one of those could take
/// it before the server does. Test processes that run side by side begin at different places.
///
/// # Panics
/// Never in practice: when no port is left it goes on looking.
#[must_use]
pub fn free() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let step = std::process::id().wrapping_mul(131).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = FIRST + u16::try_from(step % COUNT).expect("a small number");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
