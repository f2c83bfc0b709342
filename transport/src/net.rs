//! Where TCP connections between nodes come from: the kernel, or in `sim-shell` a simulated network.
//! Only the bytes' way is exchanged; TLS, HTTP/2 and everything above it are the same in both.
//!
//! Must never: decide anything about a connection, or know who is at its other end.

use crate::{config::Timing, tls};
use std::{
    fmt::Debug,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpSocket, TcpStream},
};

/// A way to other hosts.
#[tonic::async_trait]
pub trait Network: Debug + Send + Sync {
    /// Reaches an address, coming from `from` if that is given (the port is the network's choice).
    ///
    /// # Errors
    /// A refusal or a reset is the other host's word; everything else is silence.
    async fn connect(
        &self,
        address: SocketAddr,
        from: Option<IpAddr>,
    ) -> io::Result<Box<dyn Stream>>;

    /// Listens on an address, also on one whose link is not up yet.
    ///
    /// # Errors
    /// The network's refusal.
    fn listen(&self, address: SocketAddr) -> io::Result<Box<dyn Listener>>;
}

/// Connections to one address of this host.
#[tonic::async_trait]
pub trait Listener: Debug + Send + Sync {
    /// Where it listens (with the network's choice where port 0 was asked for).
    ///
    /// # Errors
    /// The network does not say.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// The next connection, and where it comes from.
    ///
    /// # Errors
    /// There are no means for it; asking again may help.
    async fn accept(&self) -> io::Result<(Box<dyn Stream>, SocketAddr)>;
}

/// One connection.
pub trait Stream: AsyncRead + AsyncWrite + Debug + Send + Unpin {
    /// This side's address.
    ///
    /// # Errors
    /// The connection is gone.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// Waits for the first byte without taking it: how many are there, 0 at the end of the stream.
    fn poll_peek(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>>;

    /// Cuts TCP's long tail.
    ///
    /// # Errors
    /// The network's refusal of a setting.
    fn tune(&self, timing: &Timing) -> io::Result<()>;
}

/// The kernel's network.
#[must_use]
pub fn kernel() -> Arc<dyn Network> {
    Arc::new(Kernel)
}

#[derive(Debug)]
struct Kernel;

#[tonic::async_trait]
impl Network for Kernel {
    async fn connect(
        &self,
        address: SocketAddr,
        from: Option<IpAddr>,
    ) -> io::Result<Box<dyn Stream>> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        if let Some(from) = from.filter(|from| from.is_ipv4() == address.is_ipv4()) {
            socket.bind(SocketAddr::new(from, 0))?;
        }
        Ok(Box::new(socket.connect(address).await?))
    }

    fn listen(&self, address: SocketAddr) -> io::Result<Box<dyn Listener>> {
        Ok(Box::new(tls::listen_tcp(address)?))
    }
}

#[tonic::async_trait]
impl Listener for TcpListener {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        TcpListener::local_addr(self)
    }

    async fn accept(&self) -> io::Result<(Box<dyn Stream>, SocketAddr)> {
        let (stream, remote) = TcpListener::accept(self).await?;
        Ok((Box::new(stream), remote))
    }
}

impl Stream for TcpStream {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        TcpStream::local_addr(self)
    }

    fn poll_peek(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut byte = [0];
        let peeked = ready!(TcpStream::poll_peek(self, cx, &mut ReadBuf::new(&mut byte)));
        Poll::Ready(peeked)
    }

    fn tune(&self, timing: &Timing) -> io::Result<()> {
        tls::tune(self, timing)
    }
}
