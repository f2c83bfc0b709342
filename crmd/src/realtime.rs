//! Keeps heartbeats from being starved by the load of the host: the daemon's own threads run under
//! the round-robin real-time scheduler and its memory stays in RAM, where that is permitted. Agents
//! are ordinary processes: the scheduling class is not inherited by children.

use nix::libc;

/// Lowest real-time priority: above everything ordinary, below whoever needs more.
const PRIORITY: i32 = 1;

/// Makes the calling thread real-time. Refused without the privilege, which is no error.
#[allow(unsafe_code)]
pub(crate) fn thread() {
    let policy = libc::SCHED_RR | libc::SCHED_RESET_ON_FORK;
    let parameters = libc::sched_param {
        sched_priority: PRIORITY,
    };
    // SAFETY: `parameters` lives across the call, which only reads it; 0 names the calling thread.
    unsafe {
        libc::sched_setscheduler(0, policy, &raw const parameters);
    }
}

/// Makes the calling thread ordinary again, for long computations.
#[allow(unsafe_code)]
pub(crate) fn thread_ordinary() {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: as above.
    unsafe {
        libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const parameters);
    }
}

/// Keeps pages in memory once they are used. Refused without the privilege, which is no error.
#[allow(unsafe_code)]
pub(crate) fn memory() {
    // SAFETY: takes no pointer and changes no content of memory.
    unsafe {
        libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT);
    }
}
