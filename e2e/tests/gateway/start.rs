//! A start that cannot be: what is in the way is named with its flag, and nothing is left behind.

use serde_json::json;
use smartflow_e2e::gateway::{Gateway, binary};
use smartflow_e2e::vendor::{Config, Vendor};
use smartflow_e2e::world::{World, key};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// Starts a gateway that must end by itself; returns what it says.
fn refused(world: &Path, data: &Path, listen: SocketAddr, admin: SocketAddr) -> String {
    let mut command = Command::new(binary());
    command.args(["--listen", &listen.to_string(), "--admin-listen", &admin.to_string()]);
    let ended = command.arg("--world").arg(world).arg("--data-dir").arg(data).output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    String::from_utf8_lossy(&ended.stderr).into_owned()
}

#[tokio::test]
async fn two_gateways_share_neither_port_nor_data() {
    let vendor = Vendor::start(Config::default());
    let world = World::of(&vendor);
    world.put("caller", &key("caller", &json!({})));
    let first = Gateway::start(&world).await;
    let home = tempfile::tempdir().unwrap();
    let (data, any) = (home.path().join("data"), "127.0.0.1:0".parse().unwrap());

    let told = refused(world.path(), &data, first.traffic, any);
    assert!(told.contains(&format!("--listen {}: ", first.traffic)) && told.contains("in use"), "{told}");
    let told = refused(world.path(), &data, any, first.admin);
    assert!(told.contains(&format!("--admin-listen {}: ", first.admin)), "{told}");
    let told = refused(&home.path().join("nowhere"), &data, any, any);
    assert!(told.contains("nowhere cannot be read"), "{told}");
    assert!(!data.exists(), "nothing was begun, so that nothing is left");

    let told = refused(world.path(), &first.data(), any, any);
    assert!(told.contains("--data-dir: ") && told.contains("in use by another process"), "{told}");
    first.admin_page("/readyz").await.expect_status(200);
}
