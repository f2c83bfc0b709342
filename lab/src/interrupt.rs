//! Ctrl-C and friends: the lab is taken down before we go.

use crate::{
    error::{LabError, While},
    remote::Lab,
    up::TiedLab,
};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};
use tokio::signal::unix::{SignalKind, signal};

/// A lab that is also taken down when a signal ends us.
#[derive(Clone, Default)]
pub(crate) struct Guard(Arc<Mutex<Option<TiedLab>>>);

impl Guard {
    /// Listens for signals from now on.
    pub(crate) fn new() -> Result<Self, LabError> {
        let guard = Self::default();
        let watched = guard.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.during(|| "start a runtime".into())?;
        let mut signals = {
            let _inside = runtime.enter();
            let listen = |kind| signal(kind).during(|| "listen for signals".into());
            [
                listen(SignalKind::interrupt())?,
                listen(SignalKind::terminate())?,
                listen(SignalKind::hangup())?,
            ]
        };
        thread::spawn(move || {
            let [a, b, c] = &mut signals;
            runtime.block_on(async {
                tokio::select! { _ = a.recv() => {}, _ = b.recv() => {}, _ = c.recv() => {} }
            });
            let lab = watched.locked().take();
            eprintln!("\ninterrupted: the lab is taken down");
            // Held until we are gone, so that nobody reports what he found on the way.
            let _held = watched.locked();
            drop(lab);
            std::process::exit(130);
        });
        Ok(guard)
    }

    fn locked(&self) -> MutexGuard<'_, Option<TiedLab>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Boots a lab under guard: a signal that comes meanwhile is heeded when it can be taken down as a whole.
    pub(crate) fn boot(
        &self,
        up: impl FnOnce() -> Result<TiedLab, LabError>,
    ) -> Result<Lab, LabError> {
        let mut guarded = self.locked();
        let tied = up()?;
        let lab = tied.lab().clone();
        *guarded = Some(tied);
        Ok(lab)
    }

    /// Takes the lab down, if it still is there.
    pub(crate) fn end(&self) {
        let lab = self.locked().take();
        drop(lab);
    }
}
