//! One seed, one run: what the libraries below the daemons take from the operating system (random
//! bytes for hash maps, keys and election time-outs; the clocks) is answered here on the simulation's
//! thread, from the seed and the simulated time. The C library's own symbols are defined anew, which
//! reaches every library without touching it; on all other threads the kernel answers as always.
//!
//! Must never: be linked into a program that is not a simulation.

use nix::libc;
use std::{
    cell::Cell,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

thread_local! {
    /// State of the generator; nothing on threads that are not simulated.
    static RANDOM: Cell<Option<u64>> = const { Cell::new(None) };
    /// Simulated nanoseconds since the begin.
    static ELAPSED_NS: Cell<u64> = const { Cell::new(0) };
}

/// The calendar at the begin of every simulation: 1 January 2026.
pub const EPOCH_S: u64 = 1_767_225_600;

/// The monotonic clock at the begin of every simulation.
const MONOTONIC_S: u64 = 100_000;

/// From now on this thread lives in the universe of `seed`.
pub fn enter(seed: u64) {
    RANDOM.set(Some(seed));
}

/// The simulated time has come to this.
pub fn set_elapsed(elapsed: Duration) {
    ELAPSED_NS.set(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX));
}

/// The calendar at the begin.
#[must_use]
pub fn epoch() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(EPOCH_S)
}

/// Steele, Lea and Flood's SplitMix64.
fn next(state: u64) -> (u64, u64) {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (state, z ^ (z >> 31))
}

/// The C library's `getrandom`.
///
/// # Safety
/// `buffer` is valid for `length` bytes, as its manual page wants.
#[allow(unsafe_code)]
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(
    buffer: *mut libc::c_void,
    length: libc::size_t,
    flags: libc::c_uint,
) -> libc::ssize_t {
    let Some(mut state) = RANDOM.get() else {
        // SAFETY: the caller's arguments, unchanged.
        return unsafe {
            libc::syscall(libc::SYS_getrandom, buffer, length, flags) as libc::ssize_t
        };
    };
    // SAFETY: the caller promises that these bytes are its own.
    let bytes = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length) };
    for chunk in bytes.chunks_mut(8) {
        let (after, value) = next(state);
        state = after;
        chunk.copy_from_slice(&value.to_le_bytes()[..chunk.len()]);
    }
    RANDOM.set(Some(state));
    length as libc::ssize_t
}

/// The C library's `clock_gettime`.
///
/// # Safety
/// `time` is valid, as its manual page wants.
#[allow(unsafe_code)]
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(
    clock: libc::clockid_t,
    time: *mut libc::timespec,
) -> libc::c_int {
    if RANDOM.get().is_none() {
        // SAFETY: the caller's arguments, unchanged.
        return unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) as libc::c_int };
    }
    let begin_s = match clock {
        libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE => EPOCH_S,
        _ => MONOTONIC_S,
    };
    let elapsed = Duration::from_nanos(ELAPSED_NS.get());
    let now = libc::timespec {
        tv_sec: (begin_s + elapsed.as_secs()) as libc::time_t,
        tv_nsec: libc::c_long::from(elapsed.subsec_nanos()),
    };
    // SAFETY: the caller promises that it may be written.
    unsafe { time.write(now) };
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::hash_map::RandomState, hash::BuildHasher, thread};

    fn universe(seed: u64) -> (u64, u64, SystemTime) {
        let inside = thread::spawn(move || {
            enter(seed);
            set_elapsed(Duration::from_millis(1_500));
            (
                RandomState::new().hash_one(1),
                rand::random(),
                SystemTime::now(),
            )
        });
        inside.join().unwrap()
    }

    #[test]
    fn hash_maps_generators_and_clocks_follow_the_seed() {
        assert_eq!(universe(1), universe(1));
        assert_ne!(universe(1).0, universe(2).0);
        assert_ne!(universe(1).1, universe(2).1);
        assert_eq!(universe(1).2, epoch() + Duration::from_millis(1_500));
    }

    #[test]
    fn other_threads_have_the_kernels() {
        assert_ne!(rand::random::<u64>(), rand::random::<u64>());
        assert!(SystemTime::now() != epoch());
    }
}
