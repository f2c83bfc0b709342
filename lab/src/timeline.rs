//! What happened, for people: one line an event, times from the fault on, colour only on a terminal.

use crate::{drill::report::Run, events::Event};
use std::io::IsTerminal;

/// Colours, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paint(bool);

impl Paint {
    /// Colours if people look at it and want them.
    pub(crate) fn of_terminal() -> Self {
        Self(std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none())
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.0 {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    /// All is well.
    pub(crate) fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    /// Look here.
    pub(crate) fn bad(self, text: &str) -> String {
        self.with("1;31", text)
    }

    /// Worth a look.
    pub(crate) fn note(self, text: &str) -> String {
        self.with("33", text)
    }

    /// In the background.
    pub(crate) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    /// A heading.
    pub(crate) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }
}

/// Prints the events of a run.
pub(crate) fn print(run: &Run, paint: Paint) {
    for event in &run.events {
        let Some(words) = words(event, paint) else {
            continue;
        };
        let after = (event.at.boottime_ms - run.began_ms) / 1000.0;
        println!(
            "  {}  {:<8} {words}",
            paint.dim(&format!("{after:>+8.3} s")),
            event.node
        );
    }
}

fn words(event: &Event, paint: Paint) -> Option<String> {
    let resource = &event.resource;
    let by = event.detail.split(':').next().unwrap_or_default();
    Some(match event.event.as_str() {
        "crash" => paint.bad("SIGKILL for every process; only its kernel still answers"),
        "silence" => paint.bad("falls silent: its links are dead, nothing runs on it"),
        "fence-request" => paint.note(&format!("is to be fenced, asked {by}")),
        "fence-done" => paint.note("is off: nothing of it is left running"),
        "fence-failed" => paint.bad(&format!("could not be switched off {}", event.detail)),
        "boot" => format!("boots: life {}", event.life),
        "member" => paint.good("is a member again"),
        "started" => paint.good(&format!("{resource} runs here")),
        "stop" => format!("{resource} stops"),
        "monitor-failed" => paint.note(&format!("{resource} is found dead")),
        "double" => paint.bad(&format!("{resource} IS ACTIVE TWICE, {}", event.detail)),
        "cut" | "heal" => format!("{} {}", event.event, event.detail),
        _ => return None,
    })
}
