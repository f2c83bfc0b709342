//! The state on the screen, refreshed until a signal or a key ends it.

use std::{
    ffi::OsString,
    io::{IsTerminal as _, Read as _, Write as _},
    process::ExitCode,
    time::Instant,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr},
};

use super::{
    Picture,
    options::{Wanted, toggle},
};
use crate::{
    common::{Failure, exit, source::Source},
    view,
};

/// Keys and what they do, for whoever presses another.
const HELP: &str = "Keys: q end, n by node, r inactive, R detail, b brief, f fail counts, o operations, \
                    t times, A attributes, L bans, c tickets, m fencing, D summary; any other: refresh";

/// What the keyboard sends for an interrupt.
const INTERRUPT: u8 = 3;

/// Shows the state again and again; ends when `q` or an interrupt is pressed or its input or output is closed.
/// A signal ends it as it ends any program.
///
/// # Errors
/// The first look fails; later ones are shown and tried again.
pub(super) fn run(wanted: &mut Wanted, _args: &[OsString]) -> Result<ExitCode, Failure> {
    let keyboard = Keyboard::take();
    let mut is_first = true;
    loop {
        let text = match look(wanted) {
            Ok(text) => text,
            Err(failure) if is_first => return Err(failure),
            Err(failure) => format!("crm_mon: {}\n", failure.text),
        };
        is_first = false;
        if write(wanted, &text).is_err() {
            // Whoever closed the pipe wants no more.
            return Ok(exit::OK.into());
        }
        if !wait(wanted, &keyboard) {
            return Ok(exit::OK.into());
        }
    }
}

fn look(wanted: &Wanted) -> Result<String, Failure> {
    let mut source = Source::from_environment()?;
    let picture = Picture::take(&mut source, wanted)?;
    let filter = picture.filter(wanted);
    Ok(view::text(&picture.scene(wanted, &filter)))
}

fn write(wanted: &Wanted, text: &str) -> std::io::Result<()> {
    if let Some(file) = &wanted.to {
        return std::fs::write(file, text);
    }
    let mut out = std::io::stdout().lock();
    if std::io::stdout().is_terminal() {
        // Home, then everything below cleared.
        out.write_all(b"\x1b[H\x1b[2J")?;
    }
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Waits for the next look. Whether there shall be one.
fn wait(wanted: &mut Wanted, keyboard: &Option<Keyboard>) -> bool {
    let Some(_) = keyboard else {
        std::thread::sleep(wanted.interval);
        return true;
    };
    let until = Instant::now() + wanted.interval;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).ok();
        let input = std::io::stdin();
        let mut fds = [PollFd::new(&input, PollFlags::IN)];
        match poll(&mut fds, timeout.as_ref()) {
            Ok(0) => return true,
            Err(Errno::INTR) => continue,
            Err(_) => return false,
            Ok(_) => {}
        }
        let mut key = [0_u8];
        return match input.lock().read(&mut key) {
            Ok(0) | Err(_) => false,
            Ok(_) if matches!(key[0], b'q' | INTERRUPT) => false,
            Ok(_) => {
                if toggle(&mut wanted.show, char::from(key[0])).is_none() && key[0] == b'?' {
                    println!("{HELP}");
                    continue;
                }
                true
            }
        };
    }
}

/// A terminal that gives every key at once; as it was when this is dropped.
struct Keyboard {
    before: Termios,
}

impl Keyboard {
    fn take() -> Option<Self> {
        let input = std::io::stdin();
        if !input.is_terminal() || !std::io::stdout().is_terminal() {
            return None;
        }
        let before = tcgetattr(&input).ok()?;
        let mut now = before.clone();
        // An interrupt is read as a key, so that the terminal is put right before the end.
        now.local_modes
            .remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
        tcsetattr(&input, OptionalActions::Now, &now).ok()?;
        Some(Self { before })
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        // Nothing can be done for a terminal that is gone.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.before);
    }
}
