//! What happened, line by line: kept only when somebody wants to read it, since a seed can be run again.

use std::{collections::VecDeque, fmt};

/// How much of it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Nothing.
    Nothing,
    /// The hash and this many last lines.
    Tail(usize),
    /// Everything is printed at once.
    Print,
}

/// The trace of a run.
#[derive(Debug)]
pub(crate) struct Trace {
    keep: Keep,
    tail: VecDeque<String>,
    hash: u64,
}

/// Longest line kept, in bytes.
const LINE: usize = 420;

impl Trace {
    /// An empty one.
    pub(crate) fn new(keep: Keep) -> Self {
        Self {
            keep,
            tail: VecDeque::new(),
            hash: 0xcbf2_9ce4_8422_2325,
        }
    }

    /// Whether lines are worth making.
    pub(crate) fn is_on(&self) -> bool {
        self.keep != Keep::Nothing
    }

    /// Adds a line.
    pub(crate) fn line(&mut self, now_ms: u64, who: &str, what: fmt::Arguments<'_>) {
        let mut text = format!("{:>8.3} {who:<3} {what}", now_ms as f64 / 1000.0);
        self.digest(&text);
        if text.len() > LINE {
            let end = (0..=LINE).rev().find(|i| text.is_char_boundary(*i));
            text.truncate(end.unwrap_or(0));
            text.push('…');
        }
        match self.keep {
            Keep::Nothing => {}
            Keep::Print => println!("{text}"),
            Keep::Tail(lines) => {
                self.tail.push_back(text);
                if self.tail.len() > lines {
                    self.tail.pop_front();
                }
            }
        }
    }

    /// FNV-1a over all lines.
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// The lines kept.
    pub(crate) fn into_tail(self) -> Vec<String> {
        self.tail.into()
    }

    fn digest(&mut self, text: &str) {
        for byte in text.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
