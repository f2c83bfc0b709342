//! The daemons' Unix sockets. The caller is known by what the kernel says of it, never by what it
//! says itself: root, the daemon's own user and members of group `haclient` may act.
//!
//! ```no_run
//! # async fn f(config: transport::config::Config) -> Result<(), Box<dyn std::error::Error>> {
//! use transport::local::{self, LocalListener};
//! let incoming = LocalListener::bind(&config.paths.crmd_socket())?;
//! // Server::builder().add_service(…).serve_with_incoming(incoming).await?;
//! // in a call: let caller = local::caller(request.extensions())?;
//! let channel = local::connect(&config.paths.crmd_socket(), config.timing.local_connect_timeout_ms).await?;
//! // let client = proto::local::local_client::LocalClient::new(channel);
//! # Ok(()) }
//! ```

mod door;

use crate::durable::FileError;
pub use door::{Door, Doors, Pipe, connect, kernel};
use nix::unistd::{Gid, Group, Uid, User, chown, getgrouplist};
use std::{
    ffi::CString,
    io,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{UnixListener, UnixStream},
    sync::mpsc,
    task::JoinSet,
    time::{sleep, timeout},
};
use tonic::{Extensions, Status, transport::server::Connected};
use tracing::warn;

/// Members of this group may act as root does (as with Pacemaker).
pub const GROUP: &str = "haclient";

/// Limit of looking up a caller's groups (they may come over a network).
const GROUPS_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a socket cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// Somebody answers on it already.
    #[error("{}: another daemon answers on this socket", .0.display())]
    InUse(PathBuf),
    /// Something else stands at its path.
    #[error("{}: this is not a socket; it is left alone, remove it", .0.display())]
    NotASocket(PathBuf),
    /// The kernel's refusal.
    #[error(transparent)]
    File(#[from] FileError),
    /// Nobody is behind it.
    #[error("{daemon} is not running on this node: start it with `systole cluster start` ({})", path.display())]
    NotRunning {
        /// `crmd` or `stonithd`.
        daemon: String,
        /// Its socket.
        path: PathBuf,
    },
    /// This user may not.
    #[error("no permission for {}: only root and members of group {GROUP} may use it", .0.display())]
    Denied(PathBuf),
    /// It does not answer.
    #[error("{daemon} does not answer on {} within {ms} ms: see its log", path.display())]
    Silent {
        /// `crmd` or `stonithd`.
        daemon: String,
        /// Its socket.
        path: PathBuf,
        /// The deadline.
        ms: u64,
    },
}

/// Who is at the other end, as the kernel says; tonic puts it into the extensions of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// User.
    pub uid: u32,
    /// Its group at the time of connecting.
    pub gid: u32,
    /// Process, if the kernel knows it in this namespace.
    pub pid: Option<i32>,
    /// Whether the user is in group `haclient`, by its main or an additional group.
    pub in_group: bool,
}

/// Whether a caller may act.
///
/// # Errors
/// PERMISSION_DENIED, saying who may.
pub fn authorise(caller: &Caller) -> Result<(), Status> {
    let own = Uid::effective().as_raw();
    if caller.uid == 0 || caller.uid == own || caller.in_group {
        return Ok(());
    }
    Err(Status::permission_denied(format!(
        "user {} may not: only root, user {own} and members of group {GROUP} may use this socket",
        user_name(caller.uid)
    )))
}

/// The authorised caller of a request.
///
/// # Errors
/// UNAUTHENTICATED if it did not come over a [`LocalListener`], PERMISSION_DENIED as of [`authorise`].
pub fn caller(extensions: &Extensions) -> Result<Caller, Status> {
    let caller = extensions
        .get::<Caller>()
        .ok_or_else(|| Status::unauthenticated("the caller did not come over the local socket"))?;
    authorise(caller)?;
    Ok(*caller)
}

fn user_name(uid: u32) -> String {
    match User::from_uid(Uid::from_raw(uid)) {
        Ok(Some(user)) => format!("{} ({uid})", user.name),
        _ => uid.to_string(),
    }
}

fn group_id() -> Option<Gid> {
    Group::from_name(GROUP).ok().flatten().map(|g| g.gid)
}

/// Blocking: asks the system's user database.
fn in_group(uid: u32, gid: u32) -> bool {
    let Some(group) = group_id() else {
        return false;
    };
    if gid == group.as_raw() {
        return true;
    }
    let Ok(Some(user)) = User::from_uid(Uid::from_raw(uid)) else {
        return false;
    };
    let Ok(name) = CString::new(user.name) else {
        return false;
    };
    getgrouplist(&name, user.gid).is_ok_and(|groups| groups.contains(&group))
}

/// Accepted connections with their callers, for tonic's `serve_with_incoming`.
#[derive(Debug)]
pub struct LocalListener {
    incoming: mpsc::Receiver<LocalStream>,
    _accepting: JoinSet<()>,
}

impl LocalListener {
    /// Connections that come from elsewhere than a Unix socket, with callers already known.
    #[must_use]
    pub fn of(incoming: mpsc::Receiver<LocalStream>) -> Self {
        Self {
            incoming,
            _accepting: JoinSet::new(),
        }
    }

    /// Listens at `path` (mode 0660, group haclient if there is one). A socket that nobody listens
    /// on any more is replaced. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// Another daemon listens there, something else is there, or the kernel refuses.
    pub fn bind(path: &Path) -> Result<Self, LocalError> {
        clear(path)?;
        let listener =
            UnixListener::bind(path).map_err(|e| FileError::new(path, "listen on", e))?;
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o660))
            .map_err(|e| FileError::new(path, "set the mode of", e))?;
        if let Some(group) = group_id()
            && let Err(error) = chown(path, None, Some(group))
        {
            warn!(
                "{}: cannot give it to group {GROUP}: {error}; only root and this user may use it",
                path.display()
            );
        }
        let (sender, incoming) = mpsc::channel(16);
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, sender));
        Ok(Self {
            incoming,
            _accepting: accepting,
        })
    }
}

impl tokio_stream::Stream for LocalListener {
    type Item = io::Result<LocalStream>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.incoming.poll_recv(cx).map(|stream| stream.map(Ok))
    }
}

/// Removes a socket left by a daemon that has ended, and nothing else.
fn clear(path: &Path) -> Result<(), LocalError> {
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(FileError::new(path, "look at", error).into()),
    };
    if !metadata.file_type().is_socket() {
        return Err(LocalError::NotASocket(path.to_owned()));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(|e| FileError::new(path, "remove", e))?;
            Ok(())
        }
        _ => Err(LocalError::InUse(path.to_owned())),
    }
}

async fn accept(listener: UnixListener, sender: mpsc::Sender<LocalStream>) {
    loop {
        match listener.accept().await {
            Ok((inner, _)) => {
                let sender = sender.clone();
                tokio::spawn(async move {
                    if let Some(stream) = identify(inner).await {
                        // Fails only when the listener has gone.
                        let _ = sender.send(stream).await;
                    }
                });
            }
            Err(error) => {
                warn!("cannot accept a local connection: {error}; trying again");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn identify(inner: UnixStream) -> Option<LocalStream> {
    let credentials = match inner.peer_cred() {
        Ok(credentials) => credentials,
        Err(error) => {
            warn!("local connection refused: the kernel does not name the caller: {error}");
            return None;
        }
    };
    let (uid, gid) = (credentials.uid(), credentials.gid());
    let own = Uid::effective().as_raw();
    let in_group = if uid == 0 || uid == own {
        false
    } else {
        let asked = tokio::task::spawn_blocking(move || in_group(uid, gid));
        matches!(timeout(GROUPS_TIMEOUT, asked).await, Ok(Ok(true)))
    };
    let caller = Caller {
        uid,
        gid,
        pid: credentials.pid(),
        in_group,
    };
    Some(LocalStream::new(Box::new(inner), caller))
}

/// One accepted connection.
#[derive(Debug)]
pub struct LocalStream {
    inner: Box<dyn Pipe>,
    caller: Caller,
}

impl LocalStream {
    /// `caller` is at its other end, by the word of whoever made the connection.
    #[must_use]
    pub fn new(inner: Box<dyn Pipe>, caller: Caller) -> Self {
        Self { inner, caller }
    }
}

impl Connected for LocalStream {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        self.caller
    }
}

impl AsyncRead for LocalStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for LocalStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

fn daemon_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}

fn told(path: &Path, error: io::Error) -> LocalError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => LocalError::NotRunning {
            daemon: daemon_of(path),
            path: path.to_owned(),
        },
        io::ErrorKind::PermissionDenied => LocalError::Denied(path.to_owned()),
        _ => FileError::new(path, "connect to", error).into(),
    }
}

#[cfg(test)]
mod tests;
