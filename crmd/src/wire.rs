//! One greeted connection to another member.

use proto::peer::{Hello, peer_client::PeerClient};
use std::{net::IpAddr, sync::Arc, time::Duration};
use tokio::time::timeout;
use transport::{
    hello,
    tls::{ConnectError, Connection, Connector, Target},
};

/// What it takes to connect: who we are, and how long the greeting may take.
#[derive(Clone)]
pub(crate) struct Wire {
    connector: Arc<Connector>,
    hello: Arc<Hello>,
    greet_timeout: Duration,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// The member's address cannot be used.
    #[error("'{0}' is not an IP address")]
    Address(String),
    /// TCP or TLS failed.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The greeting took too long.
    #[error("the greeting was not answered within {0} ms")]
    Late(u128),
    /// The peer refuses us.
    #[error("it refuses us: {0}")]
    RefusedUs(String),
    /// We refuse the peer.
    #[error(transparent)]
    RefusedIt(#[from] hello::Refusal),
}

impl WireError {
    /// Whether one side does not want the other, which somebody has to mend.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::RefusedUs(_) | Self::RefusedIt(_))
    }
}

impl Wire {
    /// `hello` is what this node says of itself.
    pub(crate) fn new(connector: Connector, hello: Hello, greet_timeout: Duration) -> Self {
        Self {
            connector: Arc::new(connector),
            hello: Arc::new(hello),
            greet_timeout,
        }
    }

    /// Connects to `node` at `address` and greets it.
    ///
    /// # Errors
    /// It cannot be reached, is somebody else, or one side refuses the other; the text says both values.
    pub(crate) async fn open(
        &self,
        node: &str,
        address: &str,
        port: u16,
    ) -> Result<Connection, WireError> {
        let ip: IpAddr = address
            .parse()
            .map_err(|_| WireError::Address(address.to_owned()))?;
        let target = Target {
            address: (ip, port).into(),
            node,
            from: None,
        };
        let connection = self.connector.connect(&target).await?;
        timeout(self.greet_timeout, self.greet(node, &connection))
            .await
            .map_err(|_| WireError::Late(self.greet_timeout.as_millis()))??;
        Ok(connection)
    }

    async fn greet(&self, node: &str, connection: &Connection) -> Result<(), WireError> {
        let theirs = PeerClient::new(connection.channel.clone())
            .greet(Hello::clone(&self.hello))
            .await
            .map_err(|status| WireError::RefusedUs(status.message().to_owned()))?
            .into_inner();
        Ok(hello::check(&self.hello, &theirs, node, 0)?)
    }
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").field("hello", &self.hello).finish()
    }
}
