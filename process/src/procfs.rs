//! What `/proc` tells of processes and groups.

use std::{
    fs::{self, File},
    io::{self, Read},
    thread,
    time::Duration,
};

/// How often an empty environment is looked at before it is believed.
const EMPTY_LOOKS: u32 = 100;
/// Read of an environment at once.
const ENVIRONMENT_BYTES: usize = 128 << 10;
/// Between two such looks.
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);

/// The fields of `/proc/PID/stat` that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) pid: i32,
    pub(crate) state: char,
    pub(crate) group: i32,
    pub(crate) session: i32,
    pub(crate) start_time: u64,
}

impl Stat {
    /// Ended, but not yet collected by its parent: it does nothing any more.
    pub(crate) fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

/// When a process started, in clock ticks since boot; nothing if there is no such process.
pub fn start_time(pid: i32) -> Option<u64> {
    stat(pid).map(|s| s.start_time)
}

pub(crate) fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse(pid, &String::from_utf8_lossy(&text))
}

/// All processes. One that ends meanwhile may be missing.
pub(crate) fn all() -> Vec<Stat> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(stat)
        .collect()
}

/// Living processes of a group.
pub(crate) fn members(pgid: i32) -> Vec<Stat> {
    all()
        .into_iter()
        .filter(|s| s.group == pgid && !s.is_dead())
        .collect()
}

/// Whether the environment the process was started with has this variable with this value.
///
/// A process that is just becoming another program shows none for a moment, so a living one is looked
/// at again a few times before that is believed.
pub(crate) fn has_variable(pid: i32, name: &str, value: &str) -> bool {
    let wanted = format!("{name}={value}");
    let shown = (0..EMPTY_LOOKS).find_map(|look| {
        if look > 0 {
            thread::sleep(BETWEEN_LOOKS);
        }
        let shown = environment(pid);
        let nothing = match &shown {
            Ok(bytes) => bytes.is_empty(),
            Err(e) => e.kind() != io::ErrorKind::PermissionDenied,
        };
        let again = nothing && stat(pid).is_some_and(|s| !s.is_dead());
        (!again).then_some(shown)
    });
    let Some(Ok(environment)) = shown else {
        return false;
    };
    let mut variables = environment.split(|b| *b == 0);
    variables.any(|v| v == wanted.as_bytes())
}

/// The environment, in one call of the kernel wherever it fits: a process that becomes another program
/// between two calls would show the beginning only.
fn environment(pid: i32) -> io::Result<Vec<u8>> {
    let mut file = File::open(format!("/proc/{pid}/environ"))?;
    let mut shown = vec![0; ENVIRONMENT_BYTES];
    let length = file.read(&mut shown)?;
    shown.truncate(length);
    if length == ENVIRONMENT_BYTES {
        file.read_to_end(&mut shown)?;
    }
    Ok(shown)
}

/// The name in parentheses may hold anything, so fields are counted after the last `)`.
fn parse(pid: i32, text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    Some(Stat {
        pid,
        state: fields.first()?.chars().next()?,
        group: fields.get(2)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        start_time: fields.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_is_skipped() {
        let line = "7 (a) b) S 1 7 3 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0";
        assert_eq!(
            parse(7, line),
            Some(Stat {
                pid: 7,
                state: 'S',
                group: 7,
                session: 3,
                start_time: 4711
            })
        );
    }

    #[test]
    fn this_process_is_found() {
        let me = std::process::id() as i32;
        assert!(start_time(me).is_some());
        assert!(all().iter().any(|s| s.pid == me));
    }
}
