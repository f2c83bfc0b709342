//! Whole clusters of core state machines in universes that a seed names: network, power, agents,
//! devices and clients that fail, and a checker for every promise.
//!
//! Nothing here looks at a clock, at chance or at the order of a hash map: the same seed is the same
//! run, to the last line of its trace. docs/simulation.md says what is modelled and how.

mod agents;
mod character;
pub mod checkers;
mod clients;
pub mod configuration;
mod effects;
mod faults;
mod fencing;
mod host;
mod network;
mod power;
mod raft;
mod rest;
mod rng;
mod run;
#[cfg(test)]
mod standin;
mod trace;
pub mod truth;
mod wires;
mod world;

pub use run::{Manner, Outcome, run};
pub use trace::Keep;
pub use world::{Schedule, Statistics};
