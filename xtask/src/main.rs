//! The project's few commands.

fn main() {}
