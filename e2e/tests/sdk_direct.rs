//! The scripts against the mock vendor without a gateway: what fails here is the script's or the mock's fault.

#![allow(clippy::print_stdout)]

use smartflow_e2e::sdk::{Script, Sdk, Target, run};
use smartflow_e2e::vendor::{Config, Speech, Vendor};

fn direct(sdk: Sdk) {
    let vendor = Vendor::start(Config::default());
    let printed = run(
        sdk,
        &Target {
            path: "direct",
            base_url: vendor.base_url(),
            api_key: vendor.key().into(),
            vendor: format!("http://{}", vendor.addr),
            chat: "mock-small".into(),
            embed: "mock-embed".into(),
            ..Target::default()
        },
    );
    print!("{printed}");
}

#[test]
fn python_and_the_mock_agree() {
    direct(Sdk::Python);
}

#[test]
fn node_and_the_mock_agree() {
    direct(Sdk::Node);
}

fn direct_to_claude(sdk: Sdk) {
    let vendor = Vendor::start(Config::anthropic());
    let target = Target {
        path: "direct",
        script: Script::Claude,
        speaks: Speech::Anthropic,
        base_url: vendor.base_url(),
        api_key: vendor.key().into(),
        vendor: format!("http://{}", vendor.addr),
        chat: "mock-claude".into(),
        ..Target::default()
    };
    print!("{}", run(sdk, &target));
}

#[test]
fn python_and_the_mock_that_speaks_anthropic_agree() {
    direct_to_claude(Sdk::Python);
}

#[test]
fn node_and_the_mock_that_speaks_anthropic_agree() {
    direct_to_claude(Sdk::Node);
}
