//! A whole cluster on one machine, and drills against it.
