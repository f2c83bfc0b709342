//! The `systole` executable: every program of the project, chosen by the name it is called by.

fn main() {}
