//! Whole clusters of the daemons' real shells in one process: real openraft, redb, TLS and gRPC over
//! turmoil's network and clock, on disks that tear and forget what was not synced. One seed is one
//! universe. Agents, power switches and people are simulated; what must hold whatever happens is
//! checked while it happens and at the end.
//!
//! What is not simulated: files beside the log (`cib.xml`, journal, identities) lie in a real directory
//! that survives every fault but what a reboot empties; the supervisor; tools.

pub mod determinism;
pub mod disk;
pub mod doors;
mod faults;
pub mod harness;
mod machine;
pub mod network;
mod node;
pub mod switches;
pub mod trace;
mod users;
pub mod world;
