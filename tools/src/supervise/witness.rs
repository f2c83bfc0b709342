//! The witness port: plain TCP, accepted and closed. Whoever reaches it knows that the host lives.

use std::{io, net::SocketAddr, time::Duration};
use tokio::time::sleep;
use tracing::warn;
use transport::{config::Config, tls};

/// Between two attempts to listen, and after a connection the kernel would not give.
const PAUSE: Duration = Duration::from_secs(1);

/// Answers on every address of the node for as long as the process runs.
pub(super) fn answer(config: &Config) {
    for address in config.bind_sockets(config.ports.witness) {
        tokio::task::spawn_local(answer_on(address));
    }
}

async fn answer_on(address: SocketAddr) {
    let mut told = false;
    loop {
        let Err(error) = accept_all(address).await else {
            continue;
        };
        if !told {
            warn!("witness port {address}: {error}; trying again every {PAUSE:?}");
            told = true;
        }
        sleep(PAUSE).await;
    }
}

async fn accept_all(address: SocketAddr) -> io::Result<()> {
    let listener = tls::listen_tcp(address)?;
    loop {
        // Dropped at once: being accepted was the answer.
        drop(listener.accept().await?);
    }
}
