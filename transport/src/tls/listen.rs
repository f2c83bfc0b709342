//! The server's side: accept, authenticate off the accept loop, hand over to tonic.

use super::{
    Ending,
    verify::{self, Callers},
    watched::Watched,
};
use crate::{
    config::Timing,
    identity::{self, Identity},
    net::{self, Listener, Network, Stream},
};
use rustls::ServerConfig;
use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpSocket},
    sync::{Semaphore, mpsc, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tonic::{Extensions, Status, transport::server::Connected};
use tracing::warn;

/// Handshakes under way at once on one address; more wait in the kernel's queue.
const HANDSHAKES: usize = 128;

/// Pause after the kernel would not give a connection (no descriptors, no memory).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why a port cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The kernel's answer.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The identity cannot be used.
    #[error("cannot listen without a usable identity: {0}")]
    Identity(#[from] rustls::Error),
}

/// Who is at the other end of an accepted connection; tonic puts it into the extensions of every
/// request.
#[derive(Clone, Debug)]
pub struct PeerInfo {
    /// Node named by its certificate; empty on the join port for callers that have none yet.
    pub node: String,
    /// Cluster named by it.
    pub cluster_id: String,
    /// Where it comes from.
    pub remote: SocketAddr,
    /// Where it came to: which link.
    pub local: SocketAddr,
    /// How the connection ended, if it has.
    pub ending: watch::Receiver<Ending>,
}

/// The authenticated peer of a request.
///
/// # Errors
/// UNAUTHENTICATED if the request did not come over a [`PeerListener`].
pub fn peer(extensions: &Extensions) -> Result<&PeerInfo, Status> {
    extensions
        .get::<PeerInfo>()
        .ok_or_else(|| Status::unauthenticated("the caller was not authenticated by a certificate"))
}

/// Accepted, authenticated connections, for tonic's `serve_with_incoming`.
#[derive(Debug)]
pub struct PeerListener {
    incoming: mpsc::Receiver<PeerStream>,
    addresses: Vec<SocketAddr>,
    _accepting: JoinSet<()>,
}

impl PeerListener {
    /// Listens for members of the cluster. Must be called within a tokio runtime; the listening
    /// ends when this is dropped, accepted connections go on.
    ///
    /// # Errors
    /// An address that cannot be listened on.
    pub fn bind(
        addresses: &[SocketAddr],
        identity: &Identity,
        timing: &Timing,
    ) -> Result<Self, ListenError> {
        Self::bind_over(&*net::kernel(), addresses, identity, timing)
    }

    /// As [`Self::bind`], over another network than the kernel's.
    ///
    /// # Errors
    /// As [`Self::bind`].
    pub fn bind_over(
        network: &dyn Network,
        addresses: &[SocketAddr],
        identity: &Identity,
        timing: &Timing,
    ) -> Result<Self, ListenError> {
        Self::with(network, addresses, identity, timing, Callers::Members)
    }

    /// Listens for nodes that may have no certificate yet; only the join service may be served here.
    ///
    /// # Errors
    /// An address that cannot be listened on.
    pub fn bind_join(
        addresses: &[SocketAddr],
        identity: &Identity,
        timing: &Timing,
    ) -> Result<Self, ListenError> {
        Self::bind_join_over(&*net::kernel(), addresses, identity, timing)
    }

    /// As [`Self::bind_join`], over another network than the kernel's.
    ///
    /// # Errors
    /// As [`Self::bind_join`].
    pub fn bind_join_over(
        network: &dyn Network,
        addresses: &[SocketAddr],
        identity: &Identity,
        timing: &Timing,
    ) -> Result<Self, ListenError> {
        Self::with(network, addresses, identity, timing, Callers::Anybody)
    }

    fn with(
        network: &dyn Network,
        addresses: &[SocketAddr],
        identity: &Identity,
        timing: &Timing,
        callers: Callers,
    ) -> Result<Self, ListenError> {
        let config = Arc::new(verify::server(identity, callers)?);
        let (sender, incoming) = mpsc::channel(16);
        let mut accepting = JoinSet::new();
        let mut bound = Vec::new();
        for address in addresses {
            let listener = network
                .listen(*address)
                .map_err(|source| ListenError::Bind {
                    address: *address,
                    source,
                })?;
            bound.push(listener.local_addr().unwrap_or(*address));
            let shaker = Shaker {
                config: config.clone(),
                timing: timing.clone(),
                callers,
                done: sender.clone(),
            };
            accepting.spawn(accept(listener, Arc::new(shaker)));
        }
        Ok(Self {
            incoming,
            addresses: bound,
            _accepting: accepting,
        })
    }

    /// Where it listens (with the kernel's choice where port 0 was given).
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

impl tokio_stream::Stream for PeerListener {
    type Item = io::Result<PeerStream>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.incoming.poll_recv(cx).map(|stream| stream.map(Ok))
    }
}

/// Listens on an address, also on one whose link is not up yet. Says nothing about who may connect:
/// only for ports where being accepted is the whole answer.
///
/// # Errors
/// The kernel's refusal.
pub fn listen_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    // The link may come up after the daemon: its address is listened on beforehand.
    if address.is_ipv4() {
        nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::IpFreebind, &true)?;
    }
    socket.bind(address)?;
    socket.listen(1024)
}

async fn accept(listener: Box<dyn Listener>, shaker: Arc<Shaker>) {
    let places = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((tcp, remote)) => {
                let shaker = shaker.clone();
                tokio::spawn(async move {
                    shaker.welcome(tcp, remote).await;
                    drop(place);
                });
            }
            Err(error) => {
                warn!("cannot accept a connection: {error}; trying again");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Does the handshakes of one listener.
struct Shaker {
    config: Arc<ServerConfig>,
    timing: Timing,
    callers: Callers,
    done: mpsc::Sender<PeerStream>,
}

impl Shaker {
    async fn welcome(&self, tcp: Box<dyn Stream>, remote: SocketAddr) {
        match self.shake(tcp, remote).await {
            Ok(stream) => {
                // Fails only when the listener has gone: then the connection goes too.
                let _ = self.done.send(stream).await;
            }
            // Somebody only looked whether this host lives (see `probe_tcp`).
            Err(None) => {}
            Err(Some(reason)) => warn!("connection from {remote} refused: {reason}"),
        }
    }

    async fn shake(
        &self,
        mut tcp: Box<dyn Stream>,
        remote: SocketAddr,
    ) -> Result<PeerStream, Option<String>> {
        let local = tcp.local_addr().map_err(|e| Some(e.to_string()))?;
        tcp.tune(&self.timing).map_err(|e| Some(e.to_string()))?;
        let limit = Duration::from_millis(self.timing.handshake_timeout_ms);
        let shaken = timeout(limit, async {
            // An end before the first byte is a probe, not a failed handshake.
            if poll_fn(|cx| tcp.poll_peek(cx)).await.unwrap_or(0) == 0 {
                return Err(None);
            }
            let acceptor = TlsAcceptor::from(self.config.clone());
            let shaken = acceptor.accept(tcp).await;
            shaken.map_err(|e| Some(verify::reason(&e)))
        });
        let tls = match shaken.await {
            Ok(result) => result?,
            Err(_) => {
                let ms = self.timing.handshake_timeout_ms;
                return Err(Some(format!("no TLS handshake within {ms} ms")));
            }
        };
        let named = self.named(&tls).map_err(Some)?;
        let (inner, ending) = Watched::new(tls);
        let info = PeerInfo {
            node: named.node,
            cluster_id: named.cluster_id,
            remote,
            local,
            ending,
        };
        Ok(PeerStream { inner, info })
    }

    fn named(&self, tls: &TlsStream<Box<dyn Stream>>) -> Result<identity::Named, String> {
        let certificates = tls.get_ref().1.peer_certificates();
        match (self.callers, certificates.and_then(|c| c.first())) {
            (Callers::Members, None) => Err("it shows no certificate: not a member".to_owned()),
            (_, Some(certificate)) => identity::named(certificate),
            (Callers::Anybody, None) => Ok(identity::Named {
                node: String::new(),
                cluster_id: String::new(),
            }),
        }
    }
}

/// One accepted connection.
#[derive(Debug)]
pub struct PeerStream {
    inner: Watched<TlsStream<Box<dyn Stream>>>,
    info: PeerInfo,
}

impl Connected for PeerStream {
    type ConnectInfo = PeerInfo;

    fn connect_info(&self) -> PeerInfo {
        self.info.clone()
    }
}

impl AsyncRead for PeerStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for PeerStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
