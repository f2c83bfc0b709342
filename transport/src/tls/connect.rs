//! The client's side: reach a node, prove that it is the one meant, notice its end.

use super::{
    Ending,
    verify::{self, Expect},
    watched::Watched,
};
use crate::{
    config::Timing,
    identity::{Identity, IdentityError, Named},
    net::{self, Network, Stream},
};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::{
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio::{io::AsyncBufReadExt, sync::watch, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Channel, Endpoint, Uri};

/// Whom to reach.
#[derive(Clone, Debug)]
pub struct Target<'a> {
    /// Where.
    pub address: SocketAddr,
    /// Which node must answer there.
    pub node: &'a str,
    /// Address of this node to come from, so that the connection uses the link meant; the port
    /// is the kernel's choice.
    pub from: Option<IpAddr>,
}

/// Why a node was not reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The host answered that nobody listens there: news.
    #[error("{address}: connection refused: the host lives, nothing listens on that port")]
    Refused {
        /// Where.
        address: SocketAddr,
    },
    /// The connection was taken and closed again by the other side: news.
    #[error("{address}: closed by the other side: {reason}")]
    Closed {
        /// Where.
        address: SocketAddr,
        /// What it said.
        reason: String,
    },
    /// No answer in time, or no way there: silence.
    #[error("{address}: no answer: {reason}")]
    Silent {
        /// Where.
        address: SocketAddr,
        /// Deadline or the kernel's words.
        reason: String,
    },
    /// One side does not accept the other's certificate.
    #[error("{address}: {reason}")]
    Tls {
        /// Where.
        address: SocketAddr,
        /// In words.
        reason: String,
    },
    /// A valid member answers, but not the one meant.
    #[error(
        "{address}: node '{got}' answers where node '{expected}' was expected: correct the addresses of one of them"
    )]
    Identity {
        /// Where.
        address: SocketAddr,
        /// Who was meant.
        expected: String,
        /// Who is there.
        got: String,
    },
}

/// An established connection.
#[derive(Clone, Debug)]
pub struct Connection {
    /// For tonic's clients. After the connection's end it only answers errors.
    pub channel: Channel,
    /// Who is at the other end.
    pub peer: Named,
    ending: watch::Receiver<Ending>,
}

impl Connection {
    /// How it ended, as far as is known now.
    #[must_use]
    pub fn ending(&self) -> Ending {
        self.ending.borrow().clone()
    }

    /// Waits for its end. Prompt: a killed peer's FIN is seen in the time it travels.
    pub async fn ended(&mut self) -> Ending {
        match self.ending.wait_for(|e| *e != Ending::Open).await {
            Ok(ending) => ending.clone(),
            Err(_) => Ending::Here,
        }
    }
}

/// Makes connections in the name of one node.
#[derive(Clone)]
pub struct Connector {
    identity: Identity,
    timing: Timing,
    network: Arc<dyn Network>,
}

impl Connector {
    /// Takes what every connection needs.
    ///
    /// # Errors
    /// The identity cannot be used.
    pub fn new(identity: &Identity, timing: &Timing) -> Result<Self, IdentityError> {
        verify::check(identity).map_err(|reason| IdentityError::Unusable {
            path: Path::new("identity").to_owned(),
            reason,
        })?;
        Ok(Self {
            identity: identity.clone(),
            timing: timing.clone(),
            network: net::kernel(),
        })
    }

    /// The same over another network than the kernel's.
    #[must_use]
    pub fn over(self, network: Arc<dyn Network>) -> Self {
        Self { network, ..self }
    }

    /// The same, showing something else: for tests of refusals.
    #[cfg(test)]
    pub(super) fn showing(self, identity: Identity) -> Self {
        Self { identity, ..self }
    }

    /// Reaches a node within `connect_timeout_ms`: TCP, TLS in both directions and the first byte,
    /// so that a refusal of either side's certificate shows here and not at the first call.
    ///
    /// # Errors
    /// Typed: news, silence, certificates, the wrong node.
    pub async fn connect(&self, target: &Target<'_>) -> Result<Connection, ConnectError> {
        let address = target.address;
        let expect = Expect::Node(target.node.to_owned());
        let (config, check) = verify::client(&self.identity, expect).map_err(|e| {
            let reason = e.to_string();
            ConnectError::Tls { address, reason }
        })?;
        let wrong_node = || {
            let got = check.got().filter(|named| named.node != target.node);
            got.map(|named| ConnectError::Identity {
                address,
                expected: target.node.to_owned(),
                got: named.node,
            })
        };
        let reached = self.network.connect(target.address, target.from);
        let (channel, ending) = establish(target.address, reached, config, &self.timing)
            .await
            .map_err(|error| wrong_node().unwrap_or(error))?;
        let peer = check.got().ok_or_else(|| ConnectError::Tls {
            address,
            reason: "it showed no certificate".to_owned(),
        })?;
        Ok(Connection {
            channel,
            peer,
            ending,
        })
    }
}

/// A channel to a server that is known only by its authority's fingerprint.
pub(crate) async fn pinned_channel(
    address: SocketAddr,
    fingerprint: &str,
    timing: &Timing,
) -> Result<Channel, ConnectError> {
    let config = verify::pinned_client(fingerprint).map_err(|e| {
        let reason = e.to_string();
        ConnectError::Tls { address, reason }
    })?;
    let network = net::kernel();
    let reached = network.connect(address, None);
    let (channel, _) = establish(address, reached, config, timing).await?;
    Ok(channel)
}

async fn establish(
    address: SocketAddr,
    reached: impl Future<Output = io::Result<Box<dyn Stream>>>,
    config: ClientConfig,
    timing: &Timing,
) -> Result<(Channel, watch::Receiver<Ending>), ConnectError> {
    let deadline = Duration::from_millis(timing.connect_timeout_ms);
    let all = async {
        let tcp = reached.await.map_err(|e| told(address, &e))?;
        tcp.tune(timing).map_err(|e| told(address, &e))?;
        let tls = tls(address, tcp, config)
            .await
            .map_err(|e| told(address, &e))?;
        let (stream, ending) = Watched::new(tls);
        let channel = once(stream).await.map_err(|e| ConnectError::Closed {
            address,
            reason: format!("HTTP/2: {e}"),
        })?;
        Ok((channel, ending))
    };
    match timeout(deadline, all).await {
        Ok(result) => result,
        Err(_) => Err(ConnectError::Silent {
            address,
            reason: format!("not within {} ms", timing.connect_timeout_ms),
        }),
    }
}

/// Shakes hands and waits for the server's first byte (HTTP/2 settings, which it sends unasked):
/// in TLS 1.3 a client learns only from there that its certificate was refused.
async fn tls(
    address: SocketAddr,
    tcp: Box<dyn Stream>,
    config: ClientConfig,
) -> io::Result<TlsStream<Box<dyn Stream>>> {
    let name = ServerName::IpAddress(address.ip().into());
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(name, tcp).await?;
    if stream.fill_buf().await?.is_empty() {
        let reason = "closed after the handshake";
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason));
    }
    Ok(stream)
}

fn told(address: SocketAddr, error: &io::Error) -> ConnectError {
    use io::ErrorKind as Kind;
    let reason = verify::reason(error);
    match error.kind() {
        _ if verify::is_tls(error) => ConnectError::Tls { address, reason },
        Kind::ConnectionRefused => ConnectError::Refused { address },
        Kind::ConnectionReset | Kind::UnexpectedEof | Kind::BrokenPipe => {
            ConnectError::Closed { address, reason }
        }
        _ => ConnectError::Silent { address, reason },
    }
}

/// A channel over exactly this stream: it is never replaced behind our back.
async fn once(
    stream: Watched<TlsStream<Box<dyn Stream>>>,
) -> Result<Channel, tonic::transport::Error> {
    let mut stream = Some(TokioIo::new(stream));
    let connector = tower::service_fn(move |_: Uri| {
        let stream = stream
            .take()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotConnected, "the connection has ended"));
        std::future::ready(stream)
    });
    Endpoint::from_static("http://peer.systole")
        .connect_with_connector(connector)
        .await
}

/// What a host answered on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Somebody accepts connections.
    Open,
    /// The host lives, nobody listens.
    Refused,
    /// Nothing came back within the deadline, or there is no way there.
    Silent,
}

/// Asks a host's kernel whether somebody listens on a port; says nothing about who.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use transport::tls::{Probe, probe_tcp};
/// let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// let address = listener.local_addr().unwrap();
/// let deadline = std::time::Duration::from_millis(250);
/// assert_eq!(probe_tcp(address, None, deadline).await, Probe::Open);
/// # });
/// ```
pub async fn probe_tcp(address: SocketAddr, from: Option<IpAddr>, deadline: Duration) -> Probe {
    match timeout(deadline, net::kernel().connect(address, from)).await {
        Ok(Ok(_)) => Probe::Open,
        Ok(Err(error)) => match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Probe::Refused,
            _ => Probe::Silent,
        },
        Err(_) => Probe::Silent,
    }
}
