//! Runs the scheduler beside the driver, so that heartbeats go on while it thinks.

use crate::{
    driver::{Event, Events},
    machine::Work,
    realtime,
};
use cib::Element;
use crmd_core::{command::RunId, input::Input};
use scheduler::Memory;
use std::sync::{Arc, Mutex, PoisonError};

/// What one decision leaves for the next; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Remembered(Arc<Mutex<Memory>>);

impl Remembered {
    /// Takes out what is there: a run that does not come to its end leaves nothing behind.
    fn take(&self) -> Memory {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut kept)
    }

    fn put(&self, memory: Memory) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = memory;
    }
}

/// Decides for `cib` at `now_s` on a thread that may block; the decision comes as an event.
pub(crate) fn run(
    work: Work,
    events: Events,
    remembered: Remembered,
    run: RunId,
    cib: Element,
    now_s: i64,
) {
    work.start(move || {
        if work == Work::Threads {
            realtime::thread_ordinary();
        }
        let mut memory = remembered.take();
        let decision = Box::new(scheduler::schedule_again(&cib, now_s, &mut memory));
        remembered.put(memory);
        // A closed queue: the daemon is ending.
        let _ = events.send(Event::Input(Input::Scheduled { run, decision }));
    });
}
