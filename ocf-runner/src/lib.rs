//! Runs OCF, systemd and LSB resource agents: environment, exit codes, metadata.
//!
//! [`Runner::run`] carries out one operation of one agent and says how it went in the field's terms.
//! It decides nothing: when to run what, and what an outcome means for a resource, is the executor's
//! business. It never panics or fails over what an agent does or prints.

mod action;
mod cli;
mod codes;
mod environment;
mod locate;
mod lsb;
pub mod metadata;
mod reason;
mod runner;
mod shipped;
mod systemd;

pub use action::{Action, Outcome, Status};
pub use cli::main;
pub use codes::OcfCode;
pub use locate::{Agent, LocateError};
pub use runner::{Config, MetadataError, Runner};
pub use shipped::SHIPPED;
