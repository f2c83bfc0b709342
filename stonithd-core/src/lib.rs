//! The fencing daemon's decisions: devices, topology levels, delays, retries, history.
//!
//! A [`Fencer`] is a state machine without clock, randomness or I/O: its shell gives it an [`Input`]
//! with the time it happened, carries out the [`Command`]s it then has, and wakes it at
//! [`Fencer::poll_timeout`]. It must never call an operation successful that no device has confirmed:
//! off, verify, on (protocol.md, 23 and 24).

mod command;
mod device;
mod fencer;
mod history;
mod input;
mod operation;
mod registry;
mod settings;
mod text;
mod topology;

pub use command::{Call, Command, Order, Severity};
pub use device::{Device, HostCheck, Verb, hypervisor};
pub use fencer::Fencer;
pub use history::{Entry as HistoryEntry, State as HistoryState};
pub use input::{
    AskId, CallResult, ClientId, Grade, Input, Now, Offer, Power, RelayId, Reply, Request, RunId,
};
pub use registry::{Problem, Registry};
pub use settings::Settings;
pub use text::{host_list, parse_ms};
pub use topology::Topology;
