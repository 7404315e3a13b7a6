//! Publishes a folder of resources as an operator would, so that gateways can be driven without a cluster:
//!
//! ```text
//! cargo run -p smartflow-transport --example publish_folder -- redis://127.0.0.1:6379 sealing.key config/samples/quickstart
//! ```
//! Keys without a token of their own get the token `<namespace>/<name>`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, dead_code)]

#[path = "../tests/kit/operator.rs"]
mod operator;

use operator::{Operator, connect};
use smartflow_transport::Ring;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, key_file, folder] = &arguments[..] else { panic!("publish_folder <url> <key file> <folder>") };
    let ring = Ring::parse(&std::fs::read_to_string(key_file).expect("the key file")).expect("sealing keys");
    let mut operator = Operator::new(connect(url).await, ring);
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("the folder").map(|f| f.unwrap().path()).collect();
    files.sort();
    for file in files.iter().filter(|f| f.extension().is_some_and(|e| e == "yaml")) {
        operator.know(Operator::read(&std::fs::read_to_string(file).expect("a file")));
    }
    let (_, at) = operator.lead().await.expect("published");
    println!("{at}");
}
