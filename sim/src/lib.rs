//! Whole clusters of core state machines under seeded faults, and the checkers of every promise.
