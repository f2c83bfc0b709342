//! Unix sockets of a simulated machine: a connection is a pair of pipes in memory, which end when
//! either daemon does, as the kernel would have it. Between two programs of one machine no time passes.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::mpsc;
use transport::local::{Caller, Doors, LocalError, LocalListener, LocalStream, Pipe};

/// Bytes under way in one direction.
const PIPE_BYTES: usize = 64 * 1024;

/// Connections that nobody has accepted yet.
const BACKLOG: usize = 16;

/// What a simulated program is to the other: root.
const ROOT: Caller = Caller {
    uid: 0,
    gid: 0,
    pid: None,
    in_group: false,
};

/// All sockets of one machine; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Sockets(Arc<Mutex<BTreeMap<PathBuf, mpsc::Sender<LocalStream>>>>);

impl Sockets {
    fn listening(&self) -> MutexGuard<'_, BTreeMap<PathBuf, mpsc::Sender<LocalStream>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[tonic::async_trait]
impl Doors for Sockets {
    async fn connect(&self, path: &Path) -> io::Result<Box<dyn Pipe>> {
        let listener = self.listening().get(path).cloned();
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let listener = listener.ok_or_else(refused)?;
        let (near, far) = tokio::io::duplex(PIPE_BYTES);
        let stream = LocalStream::new(Box::new(far), ROOT);
        listener.send(stream).await.map_err(|_| refused())?;
        Ok(Box::new(near))
    }

    fn listen(&self, path: &Path) -> Result<LocalListener, LocalError> {
        let mut listening = self.listening();
        if listening.get(path).is_some_and(|l| !l.is_closed()) {
            return Err(LocalError::InUse(path.to_owned()));
        }
        let (sender, incoming) = mpsc::channel(BACKLOG);
        listening.insert(path.to_owned(), sender);
        Ok(LocalListener::of(incoming))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_has_ended_refuses_and_may_come_back() {
        let sockets = Sockets::default();
        let path = Path::new("run/crmd.sock");
        let refused = |r: io::Result<Box<dyn Pipe>>| {
            r.is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused)
        };
        assert!(refused(sockets.connect(path).await), "never there");
        let listener = sockets.listen(path).unwrap();
        assert!(sockets.connect(path).await.is_ok());
        assert!(matches!(sockets.listen(path), Err(LocalError::InUse(_))));
        drop(listener);
        assert!(refused(sockets.connect(path).await), "ended");
        let _again = sockets.listen(path).unwrap();
        assert!(sockets.connect(path).await.is_ok());
    }
}
