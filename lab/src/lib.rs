//! A whole cluster on one machine, and drills against it.
//!
//! `lab` runs real daemons in nodes made of kernel namespaces, with links to cut and a power switch;
//! `drill` plays a fault against such a lab and measures from outside; `bench` measures what it does and
//! needs; `demo` is a drill for people to watch.
//! It must never touch the network, mounts or processes of the host itself: everything lives in namespaces
//! of the lab and in its directory, and ends with it.

pub mod audit;
pub mod bench;
mod boot;
mod cli;
mod client;
mod clock;
mod cluster;
mod daemon;
pub mod demo;
pub mod drill;
mod error;
mod events;
mod exec;
mod hold;
mod init;
mod interrupt;
mod isolate;
mod layout;
mod network;
mod power;
mod remote;
mod timeline;
mod up;
mod wait;
mod wire;

pub use cli::lab;
pub use error::LabError;
pub use exec::Said;
pub use layout::{Layout, Spec};
pub use remote::Lab;
pub use up::TiedLab;
