//! How the API server is reached: no connection is waited for without end.

use crate::watch::WATCH_SECONDS;
use kube_client::{Client, Config};
use std::time::Duration;

/// Longest silence while something is awaited. The longest that is in order is a watch in which nothing happens, which the
/// API server ends by itself; what is silent for longer died without a word.
const SILENCE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 15);

/// A client for the API server that `config` names.
///
/// # Errors
/// When its certificates or credentials cannot be used.
pub fn client(mut config: Config) -> kube_client::Result<Client> {
    // A connection that was idle before a request is not to be held against it.
    (config.read_timeout, config.reset_reader_on_write) = (Some(SILENCE), true);
    Client::try_from(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Secret;
    use kube_client::Api;
    use kube_client::api::ListParams;
    use tokio::net::TcpListener;
    use tokio::time::{Instant, timeout};

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_died_without_a_word_is_found_out() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        // Connections are taken by the system, and nobody says anything.
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", silent.local_addr().unwrap());
        let api: Api<Secret> = Api::all(client(Config::new(address.parse().unwrap())).unwrap());
        let began = Instant::now();
        let listed = timeout(10 * SILENCE, api.list(&ListParams::default())).await;
        listed.expect("it does not wait for ever").unwrap_err();
        assert!(began.elapsed() >= Duration::from_secs(WATCH_SECONDS.into()), "a quiet watch is no fault");
    }
}
