//! Identities and mutual TLS, the local socket with peer credentials, the configuration file.
//!
//! What both daemons and the tools need to reach one another, and nothing about what they say:
//!
//! | module | what |
//! |---|---|
//! | [`config`] | the daemons' TOML file, every time-out named |
//! | [`identity`] | the cluster's CA, a certificate for each node |
//! | [`tls`] | listeners and connections between nodes, mutually authenticated |
//! | [`local`] | the Unix sockets, callers known by the kernel's credentials |
//! | [`hello`] | do two daemons belong together? |
//! | [`life`] | boots of the host and runs of a daemon |
//! | [`lock`] | one daemon of a kind for each node |
//! | [`net`] | where TCP connections come from |
//! | [`join`] | how a node becomes a member: token, service, client |
//! | [`durable`] | files that survive a power cut |
//!
//! It must never decide anything about the cluster: who is a member, who leads and who is dead is
//! for the core to say.

pub mod config;
pub mod durable;
pub mod hello;
pub mod identity;
pub mod join;
pub mod life;
pub mod local;
pub mod lock;
pub mod net;
pub mod tls;
