//! The node daemon: tonic, openraft, redb, signals around crmd-core.
