//! The node daemon's decisions: membership, coordination, transition execution, executor.
//!
//! A [`Node`] is a state machine without clock, randomness or I/O: its shell gives it an
//! [`input::Input`] with the time it happened, carries out the [`command::Command`]s it then has, in
//! their order, and wakes it at [`Node::poll_timeout`]. The same core runs in the daemon (`crmd`)
//! and in the simulator (`sim`).
//!
//! The log is seen only through `Propose`, `Applied`, `Leader` and `LeaderReady`; who keeps it is
//! the shell's business.

mod admission;
pub mod alerts;
mod changes;
pub mod command;
mod coordinator;
mod dispatch;
mod document;
pub mod entry;
mod evaluate;
mod executor;
mod expiry;
mod fencing;
pub mod figures;
mod history;
mod host;
pub mod ids;
pub mod input;
mod isolated;
pub mod journal;
mod leaving;
mod membership;
pub mod message;
mod node;
mod raft_view;
mod recent;
pub mod request;
mod requests;
pub mod settings;
pub mod state;
mod status;
mod transition;
pub mod view;

pub use node::{Identity, Node};
