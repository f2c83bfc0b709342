//! The network of a simulated machine: turmoil's, with what a real TCP adds to it. A cut link is
//! silence, not a refusal: nothing arrives while it lasts, and what was under way arrives afterwards, as
//! retransmissions would; a connection that was silent for too long times out on both sides. A link may
//! be cut in one direction: then nothing of it is heard, and no connection comes about in either.
//!
//! A machine has three places in turmoil's network, one for each program that can end alone: crmd, the
//! fencing daemon, the supervisor.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::sleep,
};
use transport::{
    config::{Ports, Timing},
    net::{Listener, Network, Stream},
};

/// Between two attempts to open a connection over a link that is cut in one direction.
const KNOCK: Duration = Duration::from_millis(20);

/// Number of a machine, from 0.
pub type MachineId = usize;

/// Where crmd of a machine is; the address its members know.
#[must_use]
pub fn address(machine: MachineId) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, machine as u8 + 1).into()
}

/// Where its fencing daemon is.
#[must_use]
pub fn stonithd_address(machine: MachineId) -> IpAddr {
    Ipv4Addr::new(10, 0, 1, machine as u8 + 1).into()
}

/// Where its supervisor is.
#[must_use]
pub fn supervisor_address(machine: MachineId) -> IpAddr {
    Ipv4Addr::new(10, 0, 3, machine as u8 + 1).into()
}

/// All three.
#[must_use]
pub fn addresses(machine: MachineId) -> [IpAddr; 3] {
    [
        address(machine),
        stonithd_address(machine),
        supervisor_address(machine),
    ]
}

/// The place that answers for an address and a port of a machine.
fn place(address: SocketAddr) -> SocketAddr {
    let ports = Ports::default();
    let of = machine(address.ip());
    match address.port() {
        port if port == ports.stonithd => SocketAddr::new(stonithd_address(of), port),
        port if port == ports.witness => SocketAddr::new(supervisor_address(of), port),
        _ => address,
    }
}

fn machine(address: IpAddr) -> MachineId {
    match address {
        IpAddr::V4(v4) => usize::from(v4.octets()[3]).saturating_sub(1),
        IpAddr::V6(_) => 0,
    }
}

/// What all connections have in common; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Wires(Arc<Mutex<Everything>>);

#[derive(Debug, Default)]
struct Everything {
    wires: Vec<Weak<Wire>>,
    /// From a machine to another nothing passes.
    cut: BTreeSet<(MachineId, MachineId)>,
}

/// One end of a connection: the machine it is on, and the other.
#[derive(Debug)]
struct Wire {
    machines: (MachineId, MachineId),
    broken: AtomicBool,
    /// Nothing arrives here.
    deaf: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

impl Wire {
    fn wake(&self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.drain(..).for_each(Waker::wake);
    }
}

impl Wires {
    /// Every connection between two machines has been silent for longer than TCP waits.
    pub fn time_out(&self, a: MachineId, b: MachineId) {
        for wire in self.open() {
            if wire.machines == (a, b) || wire.machines == (b, a) {
                wire.broken.store(true, Ordering::SeqCst);
                wire.wake();
            }
        }
    }

    /// Nothing passes from one machine to another any more, or it does again.
    pub fn cut_one_way(&self, from: MachineId, to: MachineId, cut: bool) {
        match cut {
            true => self.all().cut.insert((from, to)),
            false => self.all().cut.remove(&(from, to)),
        };
        for wire in self.open() {
            if wire.machines == (to, from) {
                wire.deaf.store(cut, Ordering::SeqCst);
                wire.wake();
            }
        }
    }

    /// Every direction that is cut.
    #[must_use]
    pub fn one_way_cuts(&self) -> Vec<(MachineId, MachineId)> {
        self.all().cut.iter().copied().collect()
    }

    /// Whether a connection can come about: it needs both directions.
    #[must_use]
    pub fn both_ways(&self, a: MachineId, b: MachineId) -> bool {
        let all = self.all();
        !all.cut.contains(&(a, b)) && !all.cut.contains(&(b, a))
    }

    fn add(&self, machines: (MachineId, MachineId)) -> Arc<Wire> {
        let mut all = self.all();
        let wire = Arc::new(Wire {
            machines,
            broken: AtomicBool::new(false),
            deaf: AtomicBool::new(all.cut.contains(&(machines.1, machines.0))),
            waiting: Mutex::default(),
        });
        all.wires.retain(|w| w.strong_count() > 0);
        all.wires.push(Arc::downgrade(&wire));
        wire
    }

    fn open(&self) -> Vec<Arc<Wire>> {
        self.all().wires.iter().filter_map(Weak::upgrade).collect()
    }

    fn all(&self) -> MutexGuard<'_, Everything> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The network as one machine's programs see it.
#[derive(Clone, Debug)]
pub struct SimulatedNetwork {
    own: MachineId,
    wires: Wires,
}

impl SimulatedNetwork {
    /// Of this machine.
    #[must_use]
    pub fn new(own: MachineId, wires: Wires) -> Self {
        Self { own, wires }
    }

    fn connection(&self, inner: turmoil::net::TcpStream, other: MachineId) -> Box<dyn Stream> {
        Box::new(Connection {
            inner,
            wire: self.wires.add((self.own, other)),
        })
    }
}

#[tonic::async_trait]
impl Network for SimulatedNetwork {
    async fn connect(
        &self,
        address: SocketAddr,
        _from: Option<IpAddr>,
    ) -> io::Result<Box<dyn Stream>> {
        let other = machine(address.ip());
        while !self.wires.both_ways(self.own, other) {
            sleep(KNOCK).await;
        }
        let inner = turmoil::net::TcpStream::connect(place(address)).await?;
        Ok(self.connection(inner, other))
    }

    fn listen(&self, address: SocketAddr) -> io::Result<Box<dyn Listener>> {
        let any = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port());
        // turmoil's bind waits for nothing.
        let bound = futures::FutureExt::now_or_never(turmoil::net::TcpListener::bind(any));
        let inner = bound.unwrap_or_else(|| Err(io::ErrorKind::WouldBlock.into()))?;
        let network = self.clone();
        Ok(Box::new(Port {
            inner,
            address,
            network,
        }))
    }
}

struct Port {
    inner: turmoil::net::TcpListener,
    address: SocketAddr,
    network: SimulatedNetwork,
}

impl std::fmt::Debug for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Port").field(&self.address).finish()
    }
}

#[tonic::async_trait]
impl Listener for Port {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }

    async fn accept(&self) -> io::Result<(Box<dyn Stream>, SocketAddr)> {
        let (inner, remote) = self.inner.accept().await?;
        let stream = self.network.connection(inner, machine(remote.ip()));
        Ok((stream, remote))
    }
}

#[derive(Debug)]
struct Connection {
    inner: turmoil::net::TcpStream,
    wire: Arc<Wire>,
}

impl Connection {
    /// Whether it still is one; whoever waits is told of its end.
    fn whole(&self, cx: &Context<'_>) -> io::Result<()> {
        if self.wire.broken.load(Ordering::SeqCst) {
            let reason = "no acknowledgement of what was sent";
            return Err(io::Error::new(io::ErrorKind::TimedOut, reason));
        }
        let waiting = &self.wire.waiting;
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.iter().any(|w| w.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        Ok(())
    }

    /// As [`Self::whole`]; pending while what is said at the other end does not arrive.
    fn poll_hears(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        self.whole(cx)?;
        match self.wire.deaf.load(Ordering::SeqCst) {
            true => Poll::Pending,
            false => Poll::Ready(Ok(())),
        }
    }
}

impl Stream for Connection {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn poll_peek(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        ready!(self.poll_hears(cx))?;
        let mut byte = [0];
        let peeked = ready!(self.inner.poll_peek(cx, &mut ReadBuf::new(&mut byte)));
        Poll::Ready(peeked)
    }

    fn tune(&self, _timing: &Timing) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_hears(cx))?;
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.whole(cx)?;
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
