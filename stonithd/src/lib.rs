//! The fencing daemon: plugins and sockets around stonithd-core.
