//! The fencing daemon's decisions: devices, topology levels, delays, retries, history.
