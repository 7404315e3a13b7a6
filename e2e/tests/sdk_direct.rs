//! The scripts against the mock vendor without a gateway: what fails here is the script's or the mock's fault.

#![allow(clippy::print_stdout)]

use smartflow_e2e::sdk::{Sdk, Target, run};
use smartflow_e2e::vendor::{Config, Vendor};

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
