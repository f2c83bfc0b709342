//! Runs the scheduler beside the driver, so that heartbeats go on while it thinks.

use crate::{
    driver::{Event, Events},
    machine::Work,
    realtime,
};
use cib::Element;
use crmd_core::{command::RunId, input::Input};

/// Decides for `cib` at `now_s` on a thread that may block; the decision comes as an event.
pub(crate) fn run(work: Work, events: Events, run: RunId, cib: Element, now_s: i64) {
    work.start(move || {
        if work == Work::Threads {
            realtime::thread_ordinary();
        }
        let decision = Box::new(scheduler::schedule(&cib, now_s));
        // A closed queue: the daemon is ending.
        let _ = events.send(Event::Input(Input::Scheduled { run, decision }));
    });
}
