//! The way to a daemon of this host, and where such ways come from: Unix sockets, or in `sim-shell`
//! connections in memory.
//!
//! Must never: say who a caller is other than by the kernel's word (or the simulation's).

use super::{LocalError, LocalListener, daemon_of, told};
use hyper_util::rt::TokioIo;
use std::{
    fmt::Debug,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::UnixStream,
    time::timeout,
};
use tonic::transport::{Channel, Endpoint, Uri};

/// A connection between two programs of a host.
pub trait Pipe: AsyncRead + AsyncWrite + Debug + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Debug + Send + Unpin> Pipe for T {}

/// All sockets of a host, by their paths.
#[tonic::async_trait]
pub trait Doors: Debug + Send + Sync {
    /// Reaches whoever listens there.
    ///
    /// # Errors
    /// Nobody does, or this user may not.
    async fn connect(&self, path: &Path) -> io::Result<Box<dyn Pipe>>;

    /// Listens there; within a tokio runtime.
    ///
    /// # Errors
    /// As [`LocalListener::bind`].
    fn listen(&self, path: &Path) -> Result<LocalListener, LocalError>;
}

/// The kernel's Unix sockets.
#[must_use]
pub fn kernel() -> Arc<dyn Doors> {
    Arc::new(Kernel)
}

#[derive(Debug)]
struct Kernel;

#[tonic::async_trait]
impl Doors for Kernel {
    async fn connect(&self, path: &Path) -> io::Result<Box<dyn Pipe>> {
        Ok(Box::new(UnixStream::connect(path).await?))
    }

    fn listen(&self, path: &Path) -> Result<LocalListener, LocalError> {
        LocalListener::bind(path)
    }
}

/// The way to one daemon of this host; clones are the same.
#[derive(Clone, Debug)]
pub struct Door {
    doors: Arc<dyn Doors>,
    path: PathBuf,
    deadline_ms: u64,
}

impl Door {
    /// Behind `path`; who does not answer within `deadline_ms` is silent.
    #[must_use]
    pub fn new(doors: Arc<dyn Doors>, path: PathBuf, deadline_ms: u64) -> Self {
        Self {
            doors,
            path,
            deadline_ms,
        }
    }

    /// A channel to the daemon. It connects again by itself when the daemon was restarted; the first
    /// connection is made here, so that a daemon that is not there is told at once.
    ///
    /// # Errors
    /// Not running, not permitted, or silent.
    pub async fn connect(&self) -> Result<Channel, LocalError> {
        let limit = Duration::from_millis(self.deadline_ms);
        let first = timeout(limit, self.doors.connect(&self.path))
            .await
            .map_err(|_| self.silent())?
            .map_err(|e| told(&self.path, e))?;
        let mut first = Some(first);
        let again = self.clone();
        let connector = tower::service_fn(move |_: Uri| {
            let (first, door) = (first.take(), again.clone());
            async move {
                let stream = match first {
                    Some(stream) => stream,
                    None => door.doors.connect(&door.path).await?,
                };
                Ok::<_, io::Error>(TokioIo::new(stream))
            }
        });
        let endpoint = Endpoint::from_static("http://local.systole");
        match timeout(limit, endpoint.connect_with_connector(connector)).await {
            Ok(Ok(channel)) => Ok(channel),
            Ok(Err(_)) => Err(told(&self.path, io::ErrorKind::ConnectionRefused.into())),
            Err(_) => Err(self.silent()),
        }
    }

    fn silent(&self) -> LocalError {
        LocalError::Silent {
            daemon: daemon_of(&self.path),
            path: self.path.clone(),
            ms: self.deadline_ms,
        }
    }
}

/// As [`Door::connect`], by the kernel's socket at `path`.
///
/// # Errors
/// As [`Door::connect`].
pub async fn connect(path: &Path, deadline_ms: u64) -> Result<Channel, LocalError> {
    let door = Door::new(kernel(), path.to_owned(), deadline_ms);
    door.connect().await
}
