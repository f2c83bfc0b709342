//! The `.proto` files and the types generated from them.
//!
//! Only shells (daemons and tools) use this crate; the pure cores never see the wire.
//! Payloads that belong to a core (its messages, its requests) travel as JSON bytes of that core's
//! own types, so that a field can be added without breaking an older member.
#![allow(missing_docs, unreachable_pub, clippy::all)]

/// Between the daemons of two nodes (mutual TLS).
pub mod peer {
    tonic::include_proto!("systole.peer.v1");
}

/// Between a tool and the daemon of its own node (Unix socket with peer credentials).
pub mod local {
    tonic::include_proto!("systole.local.v1");
}

/// To and between fencing daemons.
pub mod fencing {
    tonic::include_proto!("systole.fencing.v1");
}

/// From a node that wants to become a member (TLS with a pinned server, authorised by a token).
pub mod join {
    tonic::include_proto!("systole.join.v1");
}

/// Version of the wire protocol; members whose versions differ refuse one another by name.
pub const PROTOCOL_VERSION: u32 = 1;

/// Features this program knows (see `Hello.feature_level`); the cluster uses the greatest level that
/// every member knows.
pub const FEATURE_LEVEL: u32 = 1;
