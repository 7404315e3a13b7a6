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
    // The last answer is there before the vendor has noted that it was sent.
    let refused: Vec<_> = vendor.calls().into_iter().filter(|c| matches!(c.end, End::Refused(_))).collect();
    assert!(vendor.calls().len() >= 2 && refused.is_empty(), "{refused:?}");
}
