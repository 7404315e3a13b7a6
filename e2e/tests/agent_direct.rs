//! The agent against the mock vendor without a gateway: what fails here is the agent's or the mock's fault.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stderr)]

use smartflow_e2e::agent::{install, take_a_note};
use smartflow_e2e::vendor::{Config, End, Vendor};

#[test]
fn the_agent_and_the_mock_agree() {
    let program = match install() {
        Ok(program) => program,
        Err(why) => return eprintln!("SKIPPED: the agent cannot be had here: {why}"),
    };
    let vendor = Vendor::start(Config::anthropic());
    let told = take_a_note(&program, &format!("http://{}", vendor.addr), vendor.key(), "mock-claude");
    assert_eq!(told["result"], "the mock vendor says what it was told. the ", "{told}");
    let ends: Vec<_> = vendor.calls().iter().map(|c| (c.path.clone(), c.end)).collect();
    assert!(ends.len() >= 2 && ends.iter().all(|(_, end)| *end == End::Complete), "{ends:?}");
}
