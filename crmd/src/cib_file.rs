//! Keeps `cib.xml` as the plain copy of the configuration that people and scripts read when the
//! cluster is down. Off the hot path: what changes while one version is being written is written
//! together afterwards. The log, not this file, is what an acknowledgement stands on.

use crate::{log_store::Health, machine::Work};
use cib::{
    Element,
    store::{Finding, Store},
};
use std::{path::Path, time::Duration};
use tokio::sync::watch;

/// Changes that follow one another within this time are written once.
const GATHER: Duration = Duration::from_millis(200);

/// Between two attempts after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// Where the driver leaves new versions.
#[derive(Clone, Debug)]
pub(crate) struct CibFile {
    latest: watch::Sender<Option<Element>>,
}

impl CibFile {
    /// Writes into this directory from now on, and lets `health` know of a full disk.
    pub(crate) fn start(directory: &Path, work: Work, health: Health) -> Self {
        let (latest, changes) = watch::channel(None);
        set_damaged_aside(&Store::new(directory));
        tokio::spawn(write_all(Store::new(directory), work, health, changes));
        Self { latest }
    }

    /// The configuration has changed; the status in it is left out of the file.
    pub(crate) fn changed(&self, document: Element) {
        self.latest.send_replace(Some(document));
    }
}

/// A copy that is not whole is kept under another name: the cluster has the configuration in its log, and
/// writes the copy again.
fn set_damaged_aside(store: &Store) {
    let file = store.document_path();
    let findings = match store.load() {
        Ok(loaded) => loaded.findings,
        Err(error) => return tracing::error!("the copy of the configuration: {error}"),
    };
    for finding in findings {
        let Finding::Damaged { file: which, .. } = &finding else {
            continue;
        };
        tracing::error!("{finding}");
        if *which == file && file.exists() {
            let aside = file.with_extension("damaged.xml");
            match std::fs::rename(&file, &aside) {
                Ok(()) => tracing::error!(
                    "it is kept as {}; the configuration is safe in the cluster's log and will be written again",
                    aside.display()
                ),
                Err(error) => tracing::error!("{} cannot be renamed: {error}", file.display()),
            }
        }
    }
}

async fn write_all(
    store: Store,
    work: Work,
    health: Health,
    mut changes: watch::Receiver<Option<Element>>,
) {
    let file = store.document_path();
    let mut told = String::new();
    while changes.changed().await.is_ok() {
        tokio::time::sleep(GATHER).await;
        let Some(document) = changes.borrow_and_update().clone() else {
            continue;
        };
        let store = store.clone();
        let written = work.start(move || store.save(&without_status(document)));
        let failed = match written.await {
            Ok(Ok(())) => {
                told.clear();
                health.beside(&file, None);
                continue;
            }
            Ok(Err(error)) => {
                health.beside(&file, Some(&error.source));
                error.to_string()
            }
            Err(error) => error.to_string(),
        };
        if told != failed {
            tracing::error!(
                "the copy of the configuration was not written, trying on; the cluster itself is not affected: {failed}"
            );
            told = failed;
        }
        tokio::time::sleep(RETRY).await;
        changes.mark_changed();
    }
}

fn without_status(mut document: Element) -> Element {
    if let Some(status) = document.child_mut("status") {
        *status = Element::new("status");
    }
    document
}
