//! One login with one command, and what went wrong in words.

use super::{
    Until,
    settings::{Login, check_host},
};
use process::{End, Finished, Program};
use std::{fmt, path::Path};

/// Where the client is.
const CLIENTS: &[&str] = &["/usr/bin/ssh", "/usr/local/bin/ssh", "/bin/ssh"];

/// For the client and what it starts (`ProxyCommand`).
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin";

/// Output kept, in bytes.
const CAPTURE: usize = 64 * 1024;

/// Exit code of ssh for its own failures.
const OWN_FAILURE: i32 = 255;

/// Nothing may be asked of a person, nothing is forwarded, no other session is reused: the command must
/// go over this connection, with this key.
const FIXED: &[&str] = &[
    "BatchMode=yes",
    "LogLevel=ERROR",
    "ForwardAgent=no",
    "ForwardX11=no",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
    "ControlMaster=no",
    "ControlPath=none",
    "UpdateHostKeys=no",
    "ConnectionAttempts=1",
    "ServerAliveCountMax=3",
];

/// How often a connection on which nothing is said is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Patience {
    /// For a host that is to stay: lost after 15 s of silence.
    Usual,
    /// For one that is to go: after 3 s.
    Short,
}

/// How a command ended there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) code: i32,
    pub(super) stdout: String,
    stderr: String,
}

/// Why there is no answer of the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) kind: Kind,
    pub(super) text: String,
}

/// What can be concluded from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing answers at that address: nothing was asked.
    Silent,
    /// It answers and does not let us in (or we do not trust it): nothing was asked.
    Refused,
    /// The session broke, or there was no time left: what was asked may have happened.
    Unknown,
    /// Nothing could be tried.
    Here,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Trouble> for String {
    fn from(trouble: Trouble) -> Self {
        trouble.text
    }
}

impl Said {
    /// Its output, if it went well.
    ///
    /// # Errors
    /// What it complained about.
    pub(super) fn good(self, host: &str, command: &str) -> Result<String, String> {
        match self.code {
            0 => Ok(self.stdout),
            code => Err(complaint(host, command, code, &self.stderr)),
        }
    }
}

fn complaint(host: &str, command: &str, code: i32, stderr: &str) -> String {
    let said = last_line(stderr).unwrap_or("it said nothing");
    match code {
        126 => format!("'{command}' may not be executed on {host}: {said}"),
        127 => format!(
            "'{command}' is missing on {host}: {said}; install it, or say where it is (off_command and its kin)"
        ),
        code => format!("'{command}' on {host} ended with code {code}: {said}"),
    }
}

/// Logs in and runs a command, which must have ended in time.
///
/// # Errors
/// There is no answer of it.
pub(super) async fn run(
    login: &Login,
    host: &str,
    command: &str,
    patience: Patience,
    until: Until,
) -> Result<Said, Trouble> {
    check_host(host).map_err(here)?;
    let client = CLIENTS.iter().find(|path| Path::new(path).is_file());
    let client = client.ok_or_else(|| {
        here("the OpenSSH client is not installed on this node (Debian: openssh-client)".to_owned())
    })?;
    let limit = until.left();
    if limit.is_zero() {
        return Err(here(format!("there was no time left to log in to {host}")));
    }
    let done = Program::new(client)
        .args(arguments(login, host, command, patience))
        .clear_env()
        .env("PATH", PATH)
        .env("LC_ALL", "C")
        .directory("/")
        .capture_bytes(CAPTURE)
        .deadline(limit)
        .run()
        .await
        .map_err(|e| here(e.to_string()))?;
    outcome(login, host, command, limit.as_millis(), &done)
}

fn here(text: String) -> Trouble {
    let kind = Kind::Here;
    Trouble { kind, text }
}

fn arguments(login: &Login, host: &str, command: &str, patience: Patience) -> Vec<String> {
    let alive_s = match patience {
        Patience::Usual => 5,
        Patience::Short => 1,
    };
    let connect_s = login.timeout_ms.div_ceil(1_000).max(1);
    let mut all: Vec<String> = vec!["-T".into(), "-x".into(), "-a".into()];
    let mut set = |option: String| all.extend(["-o".to_owned(), option]);
    FIXED.iter().for_each(|o| set((*o).to_owned()));
    set(format!("ServerAliveInterval={alive_s}"));
    set(format!("ConnectTimeout={connect_s}"));
    if let Some(file) = &login.identity {
        set("IdentitiesOnly=yes".to_owned());
        all.extend(["-i".to_owned(), file.display().to_string()]);
    }
    // The first value of an option counts for ssh: what goes before cannot be changed by the options
    // that are configured, what comes after can.
    all.extend(login.options.iter().cloned());
    all.extend(["-o".to_owned(), "StrictHostKeyChecking=yes".to_owned()]);
    all.extend(["-p".to_owned(), login.port.to_string()]);
    all.extend(["-l".to_owned(), login.user.clone()]);
    all.extend(["--".to_owned(), host.to_owned(), command.to_owned()]);
    all
}

fn outcome(
    login: &Login,
    host: &str,
    command: &str,
    limit_ms: u128,
    done: &Finished,
) -> Result<Said, Trouble> {
    let unknown = |text: String| {
        let kind = Kind::Unknown;
        Err(Trouble { kind, text })
    };
    let stderr = done.stderr.text();
    match done.end {
        End::Exited(OWN_FAILURE) => Err(explain(login, host, command, &stderr)),
        End::Exited(code) => Ok(Said {
            code,
            stdout: done.stdout.text(),
            stderr,
        }),
        End::TimedOut => unknown(format!(
            "'{command}' on {host} did not end within {limit_ms} ms, and ssh was ended; what it does there is unknown"
        )),
        End::Signalled(signal) => unknown(format!(
            "ssh to {host} was ended by signal {signal}; what '{command}' does there is unknown"
        )),
        End::Cancelled => unknown(format!("ssh to {host} was cancelled")),
    }
}

/// What OpenSSH's own words mean here.
fn explain(login: &Login, host: &str, command: &str, stderr: &str) -> Trouble {
    let (user, port) = (&login.user, login.port);
    let has = |words: &[&str]| words.iter().any(|w| stderr.contains(w));
    let last = last_line(stderr).unwrap_or("it said nothing");
    let (kind, text) = if has(&["IDENTIFICATION HAS CHANGED"]) {
        (
            Kind::Refused,
            format!(
                "the host key of {host} is another than the known one: it was installed anew, or somebody else answers there; compare it on its console, then replace the old one (ssh-keygen -R) on every node"
            ),
        )
    } else if has(&["Host key verification failed", "host key is known for"]) {
        (
            Kind::Refused,
            format!(
                "the host key of {host} is not known here: compare its fingerprint on its console (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then on every node: ssh-keyscan -p {port} {host} >> /etc/ssh/ssh_known_hosts"
            ),
        )
    } else if has(&["Permission denied", "Too many authentication failures"]) {
        let key = match &login.identity {
            Some(file) => format!("the key {}", file.display()),
            None => "every key of root on this node".to_owned(),
        };
        (
            Kind::Refused,
            format!(
                "{host} refuses {key} for user {user}: its public half belongs into authorized_keys there, and it must not need a passphrase ({last})"
            ),
        )
    } else if has(&["Could not resolve hostname"]) {
        (
            Kind::Here,
            format!(
                "nobody knows the address of {host} ({last}); pcmk_host_map or hostlist can name it"
            ),
        )
    } else if has(&[
        "Bad configuration option",
        "Bad owner or permissions",
        "no argument after keyword",
    ]) {
        (Kind::Here, format!("ssh cannot be used like this: {last}"))
    } else if has(&["kex_exchange_identification"]) {
        (
            Kind::Refused,
            format!("{host} ends connections before anybody can log in: {last}"),
        )
    } else if has(&["connect to host", "banner exchange"]) {
        (
            Kind::Silent,
            format!("{host} does not answer on port {port}: {last}"),
        )
    } else {
        (
            Kind::Unknown,
            format!(
                "the session with {host} broke ({last}); what '{command}' does there is unknown"
            ),
        )
    };
    Trouble { kind, text }
}

fn last_line(text: &str) -> Option<&str> {
    text.lines().rev().map(str::trim).find(|l| !l.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login() -> Login {
        Login {
            user: "root".into(),
            identity: None,
            port: 22,
            options: vec!["-o".into(), "StrictHostKeyChecking=accept-new".into()],
            timeout_ms: 1_500,
        }
    }

    #[test]
    fn what_is_fixed_goes_before_what_is_configured() {
        let all = arguments(&login(), "kvm1", "true", Patience::Usual);
        let at = |word: &str| all.iter().position(|a| a == word).unwrap();
        assert!(at("BatchMode=yes") < at("StrictHostKeyChecking=accept-new"));
        assert!(at("StrictHostKeyChecking=accept-new") < at("StrictHostKeyChecking=yes"));
        assert!(all.contains(&"ConnectTimeout=2".to_owned()));
        assert_eq!(all[all.len() - 3..], ["--", "kvm1", "true"]);
    }

    #[test]
    fn words_of_ssh() {
        for (said, kind, words) in [
            (
                "No ED25519 host key is known for [h]:22 and you have requested strict checking.\nHost key verification failed.",
                Kind::Refused,
                "ssh-keyscan -p 22 h",
            ),
            (
                "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
                Kind::Refused,
                "another than the known one",
            ),
            (
                "root@h: Permission denied (publickey).",
                Kind::Refused,
                "refuses every key",
            ),
            (
                "ssh: connect to host h port 22: Connection refused",
                Kind::Silent,
                "does not answer",
            ),
            (
                "Connection timed out during banner exchange",
                Kind::Silent,
                "does not answer",
            ),
            (
                "ssh: Could not resolve hostname h: Name or service not known",
                Kind::Here,
                "address",
            ),
            (
                "Timeout, server h not responding.",
                Kind::Unknown,
                "unknown",
            ),
            ("", Kind::Unknown, "said nothing"),
        ] {
            let trouble = explain(&login(), "h", "x", said);
            assert_eq!(trouble.kind, kind, "{said}");
            assert!(trouble.text.contains(words), "{trouble}");
        }
    }

    #[test]
    fn a_missing_command_is_named() {
        let text = complaint(
            "h",
            "virsh",
            127,
            "bash: line 1: virsh: command not found\n",
        );
        assert!(text.contains("is missing on h"), "{text}");
    }
}
