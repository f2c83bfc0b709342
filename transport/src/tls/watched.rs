//! A stream that tells how it ended: the difference between news and silence (protocol.md, 3).

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::watch,
};

/// How a connection ended, if it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It has not.
    Open,
    /// The peer's side closed it (FIN or reset): news.
    ByPeer(String),
    /// It broke without a word from the peer (time-out, no route): silence.
    Lost(String),
    /// This side dropped it.
    Here,
}

/// Wraps a stream and publishes its ending.
#[derive(Debug)]
pub(super) struct Watched<S> {
    inner: S,
    ending: watch::Sender<Ending>,
}

impl<S> Watched<S> {
    pub(super) fn new(inner: S) -> (Self, watch::Receiver<Ending>) {
        let (ending, receiver) = watch::channel(Ending::Open);
        (Self { inner, ending }, receiver)
    }

    fn end(&self, how: Ending) {
        self.ending.send_if_modified(|ending| {
            let first = *ending == Ending::Open;
            if first {
                *ending = how;
            }
            first
        });
    }

    fn observe<T>(&self, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &result {
            self.end(ending_of(error));
        }
        result
    }
}

fn ending_of(error: &io::Error) -> Ending {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::UnexpectedEof => Ending::ByPeer("closed (FIN)".to_owned()),
        Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe => {
            Ending::ByPeer(format!("reset ({error})"))
        }
        Kind::InvalidData => Ending::ByPeer(super::verify::reason(error)),
        _ => Ending::Lost(error.to_string()),
    }
}

impl<S> Drop for Watched<S> {
    fn drop(&mut self) {
        self.end(Ending::Here);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let room = buf.remaining();
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        if matches!(result, Poll::Ready(Ok(()))) && room > 0 && buf.filled().len() == before {
            self.end(Ending::ByPeer("closed (end of stream)".to_owned()));
        }
        self.observe(result)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.observe(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.observe(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_flush(cx);
        self.observe(result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end(Ending::Here);
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
