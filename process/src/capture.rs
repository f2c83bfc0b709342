//! Bounded capture of a stream: its beginning and its end, and how much was cut between them.

use std::{collections::VecDeque, io, os::fd::OwnedFd};
use tokio::net::unix::pipe;

/// How much is read at the very end from a stream that somebody keeps writing to: all that a pipe can hold
/// (an unprivileged one at most this), so that nothing written before the program's end is missed.
const PIPE_BYTES: usize = 1 << 20;

/// What was kept of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    limit: usize,
    cut: u64,
}

impl Captured {
    fn with_limit(limit: usize) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    /// Bytes that were not kept.
    pub fn cut_bytes(&self) -> u64 {
        self.cut
    }

    /// Nothing was written.
    pub fn is_empty(&self) -> bool {
        self.head.is_empty()
    }

    /// As text; a line in the middle says what was cut.
    pub fn text(&self) -> String {
        let (a, b) = self.tail.as_slices();
        if self.cut == 0 {
            return String::from_utf8_lossy(&[&self.head, a, b].concat()).into_owned();
        }
        let tail = [a, b].concat();
        format!(
            "{}\n[... {} bytes cut ...]\n{}",
            String::from_utf8_lossy(&self.head),
            self.cut,
            String::from_utf8_lossy(&tail)
        )
    }

    /// The last `bytes` of it as text.
    pub fn last(&self, bytes: usize) -> String {
        let text = self.text();
        let mut from = text.len().saturating_sub(bytes);
        while !text.is_char_boundary(from) {
            from += 1;
        }
        text.get(from..).unwrap_or_default().to_owned()
    }

    fn push(&mut self, bytes: &[u8]) {
        let room = (self.limit / 2).saturating_sub(self.head.len());
        let (head, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(head);
        self.tail.extend(rest);
        let excess = self.tail.len().saturating_sub(self.limit - self.limit / 2);
        self.tail.drain(..excess);
        self.cut += excess as u64;
    }
}

/// The reading end of a program's output.
#[derive(Debug)]
pub(crate) struct Stream {
    pipe: Option<pipe::Receiver>,
    captured: Captured,
}

impl Stream {
    pub(crate) fn new(end: Option<impl Into<OwnedFd>>, limit: usize) -> io::Result<Self> {
        Ok(Self {
            pipe: end
                .map(|end| pipe::Receiver::from_owned_fd(end.into()))
                .transpose()?,
            captured: Captured::with_limit(limit),
        })
    }

    /// Reads until every writer has closed it. May be dropped at any time without loss.
    pub(crate) async fn pump(&mut self) {
        while let Some(pipe) = &self.pipe {
            if pipe.readable().await.is_err() {
                self.pipe = None;
            }
            self.read_available(usize::MAX);
        }
    }

    /// Takes what is there now and closes the stream, whoever may still write to it.
    pub(crate) fn finish(mut self) -> Captured {
        self.read_available(PIPE_BYTES);
        self.captured
    }

    fn read_available(&mut self, most: usize) {
        let mut buffer = [0; 8192];
        let mut total = 0;
        while let Some(pipe) = &self.pipe
            && total < most
        {
            match pipe.try_read(&mut buffer) {
                Ok(0) => self.pipe = None,
                Ok(n) => {
                    total += n;
                    self.captured.push(buffer.get(..n).unwrap_or_default());
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.pipe = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_everything_within_the_limit() {
        let mut c = Captured::with_limit(10);
        c.push(b"abcde");
        c.push(b"fghij");
        assert_eq!((c.text().as_str(), c.cut_bytes()), ("abcdefghij", 0));
    }

    #[test]
    fn keeps_both_ends_and_says_what_was_cut() {
        let mut c = Captured::with_limit(8);
        for chunk in "0123456789abcdefghij".as_bytes().chunks(3) {
            c.push(chunk);
        }
        assert_eq!(c.text(), "0123\n[... 12 bytes cut ...]\nghij");
        assert_eq!(c.last(3), "hij");
    }
}
