//! Recursion along constraints: as deep as a chain that a user wrote is long, so the stack grows with it.

/// Bytes of stack that must be left for one step and all it calls that does not follow constraints.
const NEEDED: usize = 128 * 1024;
/// Bytes by which the stack grows; each such piece holds many steps.
const PIECE: usize = 4 * 1024 * 1024;

/// Takes one step of a recursion that is as deep as the configuration makes it.
pub(crate) fn step<T>(step: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(NEEDED, PIECE, step)
}
