//! A device's parameters, under the names that people know from other tools.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};
use stonithd_core::{host_list, hypervisor, parse_ms};

/// Parameters, each with its names (`-` counts as `_`); the first is the usual one.
const NAMES: &[&[&str]] = &[
    &["hypervisor", "ip", "ipaddr"],
    &["hostlist"],
    &["login", "user", "username"],
    &["identity_file"],
    &["ip_port", "ipport", "port"],
    &["ssh_options"],
    &["login_timeout"],
    &["power_timeout"],
    &["hypervisor_uri"],
    &["off_command"],
    &["on_command"],
    &["reboot_command"],
    &["status_command"],
    &["list_command"],
    &["off_states"],
    &["on_states"],
    // What others need to be told; it changes nothing here.
    &["livedangerously"],
];

/// Options of ssh that change where and how it connects; those with a value.
const OPTIONS_WITH_VALUE: &[&str] = &["-o", "-F", "-J", "-b", "-B", "-c", "-m"];

/// Those without.
const OPTIONS: &[&str] = &["-4", "-6", "-C", "-q"];

/// States of libvirt (`virsh domstate`), VMware (`vim-cmd vmsvc/power.getstate`) and plain words.
const OFF_STATES: &str = "shut off,off,powered off";
const ON_STATES: &str = "running,idle,blocked,paused,in shutdown,dying,crashed,pmsuspended,no state,on,powered on,suspended";

/// Bits of a mode that let others than its owner do anything with a file.
const OTHERS: u32 = 0o077;

/// How to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) identity: Option<PathBuf>,
    pub(super) port: u16,
    /// More arguments for ssh.
    pub(super) options: Vec<String>,
    /// For the connection, in milliseconds.
    pub(super) timeout_ms: u64,
}

/// All parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// Where to log in; nothing: on the node itself.
    pub(super) hypervisor: Option<String>,
    /// `hostlist`: nodes, and what the hypervisor (or the network) calls them.
    pub(super) hosts: BTreeMap<String, String>,
    pub(super) login: Login,
    /// How long a node that was asked to go may keep answering, in milliseconds.
    pub(super) power_timeout_ms: u64,
    pub(super) uri: String,
    pub(super) off: Option<String>,
    pub(super) on: Option<String>,
    pub(super) reboot: Option<String>,
    pub(super) status: Option<String>,
    pub(super) list: Option<String>,
    /// What a status command says of a machine without power, in lower case.
    pub(super) off_states: Vec<String>,
    /// Of one with power.
    pub(super) on_states: Vec<String>,
    /// Names that are not known.
    unknown: Vec<String>,
}

impl Settings {
    /// Reads them, and looks at the key's file.
    ///
    /// # Errors
    /// What is wrong and what would be right.
    pub(super) fn read(parameters: &BTreeMap<String, String>) -> Result<Self, String> {
        let (given, unknown) = by_usual_name(parameters)?;
        let text = |name: &str| given.get(name).map(|v| v.trim()).filter(|v| !v.is_empty());
        let owned = |name: &str| text(name).map(str::to_owned);
        let time = |name: &str, ms: u64| match text(name) {
            None => Ok(ms),
            Some(text) => parse_ms(text)
                .filter(|ms| *ms > 0)
                .ok_or_else(|| format!("{name}: '{text}' is no time (20s, 2min, 500ms)")),
        };
        let states = |name: &str, usual: &str| -> Vec<String> {
            let list = text(name).unwrap_or(usual).split(',');
            list.map(|s| s.trim().to_lowercase())
                .filter(|s| !s.is_empty())
                .collect()
        };
        let hypervisor = hypervisor(parameters).map(str::to_owned);
        if let Some(host) = &hypervisor {
            check_host(host)?;
        }
        Ok(Self {
            hypervisor,
            hosts: hosts(text("hostlist").unwrap_or_default())?,
            login: Login {
                user: user(text("login").unwrap_or("root"))?,
                identity: text("identity_file").map(identity).transpose()?,
                port: port(text("ip_port").unwrap_or("22"))?,
                options: options(text("ssh_options").unwrap_or_default())?,
                timeout_ms: time("login_timeout", 5_000)?,
            },
            power_timeout_ms: time("power_timeout", 20_000)?,
            uri: text("hypervisor_uri")
                .unwrap_or("qemu:///system")
                .to_owned(),
            off: owned("off_command"),
            on: owned("on_command"),
            reboot: owned("reboot_command"),
            status: owned("status_command"),
            list: owned("list_command"),
            off_states: states("off_states", OFF_STATES),
            on_states: states("on_states", ON_STATES),
            unknown,
        })
    }

    /// That every parameter is one of ours: a slip in a name shows when the device starts, while a
    /// node that has to be fenced is fenced all the same.
    ///
    /// # Errors
    /// Names the others.
    pub(super) fn all_known(&self) -> Result<(), String> {
        if self.unknown.is_empty() {
            return Ok(());
        }
        let hint = match self.unknown.iter().any(|n| n.starts_with("passw")) {
            true => " (there are no passwords here: log in by a key, identity_file)",
            false => " (stonith_admin --metadata --agent ssh names all)",
        };
        let names = self.unknown.join(", ");
        Err(format!("ssh does not know the parameter {names}{hint}"))
    }
}

type Given<'a> = BTreeMap<&'static str, &'a str>;

fn by_usual_name(
    parameters: &BTreeMap<String, String>,
) -> Result<(Given<'_>, Vec<String>), String> {
    let mut given = Given::new();
    let mut unknown = Vec::new();
    for (name, value) in parameters {
        let plain = name.replace('-', "_");
        let names = NAMES.iter().find(|names| names.contains(&plain.as_str()));
        let Some(usual) = names.and_then(|names| names.first()) else {
            unknown.push(name.clone());
            continue;
        };
        if let Some(other) = given.insert(*usual, value)
            && other != value
        {
            return Err(format!(
                "{usual} is given twice under two names, as '{other}' and as '{value}': keep one"
            ));
        }
    }
    Ok((given, unknown))
}

/// `n1 n2:address-or-domain`.
fn hosts(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut hosts = BTreeMap::new();
    for entry in host_list(text) {
        let (node, name) = entry.split_once(':').unwrap_or((&entry, &entry));
        if node.is_empty() || name.is_empty() {
            return Err(format!("hostlist: '{entry}' is not NODE or NODE:NAME"));
        }
        hosts.insert(node.to_owned(), name.to_owned());
    }
    Ok(hosts)
}

fn user(text: &str) -> Result<String, String> {
    let usual = |c: char| c.is_ascii_alphanumeric() || "._@-".contains(c);
    match text.chars().all(usual) && !text.starts_with('-') {
        true => Ok(text.to_owned()),
        false => Err(format!("login: '{text}' is not the name of a user")),
    }
}

fn port(text: &str) -> Result<u16, String> {
    let number = text.parse().ok().filter(|port| *port > 0);
    number.ok_or_else(|| {
        format!(
            "ip_port: '{text}' is not a port (1 to 65535); the name of a machine belongs into pcmk_host_map"
        )
    })
}

/// A host that can be given to ssh and is nothing but a host.
///
/// # Errors
/// Says so.
pub(super) fn check_host(host: &str) -> Result<(), String> {
    let usual = |c: char| c.is_ascii_alphanumeric() || ".-_:%".contains(c);
    match !host.is_empty() && host.chars().all(usual) && !host.starts_with('-') {
        true => Ok(()),
        false => Err(format!("'{host}' is not the name or address of a host")),
    }
}

/// The file with the key, which nobody else may read.
fn identity(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    if !path.is_absolute() {
        return Err(format!("identity_file: '{text}' is not an absolute path"));
    }
    let meta = fs::metadata(path).map_err(|e| {
        format!("identity_file {text}: {e}; the key must be on every node that may use the device")
    })?;
    if !meta.is_file() {
        return Err(format!("identity_file {text} is not a file"));
    }
    if meta.mode() & OTHERS != 0 {
        return Err(format!(
            "identity_file {text} is not private (mode {:04o}): others than its owner may use the key; chmod 600 {text}, and make a new key if anybody had the old one",
            meta.mode() & 0o7777
        ));
    }
    let ours = [0, rustix::process::geteuid().as_raw()];
    if !ours.contains(&meta.uid()) {
        return Err(format!(
            "identity_file {text} belongs to user {}, who may use the key: chown root {text}, and make a new key if anybody had the old one",
            meta.uid()
        ));
    }
    Ok(path.to_owned())
}

/// Arguments for ssh, separated by blanks; quotes keep them together.
fn options(text: &str) -> Result<Vec<String>, String> {
    let wrong = |word: &str, why: &str| {
        Err(format!(
            "ssh_options: '{word}' {why} (possible are -o NAME=VALUE, -F, -J, -b, -B, -c, -m with a value, -4, -6, -C, -q)"
        ))
    };
    let mut checked = Vec::new();
    let mut words = words(text)?.into_iter();
    while let Some(word) = words.next() {
        if OPTIONS.contains(&word.as_str()) {
            checked.push(word);
        } else if OPTIONS_WITH_VALUE.contains(&word.as_str()) {
            match words.next() {
                Some(value) => checked.extend([word, value]),
                None => return wrong(&word, "needs a value"),
            }
        } else if word.len() > 2 && word.starts_with("-o") {
            checked.push(word);
        } else {
            return wrong(&word, "is not an option that may be set here");
        }
    }
    Ok(checked)
}

fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in text.chars() {
        match quote {
            Some(q) if q == c => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(format!("ssh_options: a quote is not closed in '{text}'"));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, String> {
        let pair = |(n, v): &(&str, &str)| ((*n).to_owned(), (*v).to_owned());
        Settings::read(&pairs.iter().map(pair).collect())
    }

    #[test]
    fn names_as_people_know_them() {
        let s = read(&[
            ("ipaddr", "kvm1"),
            ("username", "fencer"),
            ("ipport", "2222"),
            (
                "ssh-options",
                "-4 -o 'UserKnownHostsFile=/etc/k h' -oProxyJump=j",
            ),
            ("login-timeout", "2min"),
            ("hostlist", "n1 n2:vm-2"),
        ])
        .unwrap();
        assert_eq!(s.hypervisor.as_deref(), Some("kvm1"));
        assert_eq!((s.login.user.as_str(), s.login.port), ("fencer", 2222));
        assert_eq!(s.login.timeout_ms, 120_000);
        assert_eq!(
            s.login.options,
            ["-4", "-o", "UserKnownHostsFile=/etc/k h", "-oProxyJump=j"]
        );
        assert_eq!(s.hosts.get("n2").map(String::as_str), Some("vm-2"));
        s.all_known().unwrap();
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        for (name, value, words) in [
            ("hypervisor", "-oProxyCommand=x", "is not the name"),
            ("hypervisor", "a b", "is not the name"),
            ("login", "-lroot", "is not the name of a user"),
            ("port", "vm-1", "pcmk_host_map"),
            ("login_timeout", "soon", "is no time"),
            ("ssh_options", "reboot", "may be set here"),
            ("ssh_options", "-o", "needs a value"),
            ("ssh_options", "-o 'x", "not closed"),
            ("identity_file", "id", "absolute"),
            ("identity_file", "/nowhere/id", "on every node"),
            ("hostlist", ":x", "NODE:NAME"),
        ] {
            let problem = read(&[(name, value)]).unwrap_err();
            assert!(problem.contains(words), "{problem}");
        }
        let twice = read(&[("user", "a"), ("login", "b")]).unwrap_err();
        assert!(twice.contains("twice"), "{twice}");
        let slip = read(&[("hypervizor", "a"), ("passwd", "b")]).unwrap();
        let said = slip.all_known().unwrap_err();
        assert!(
            said.contains("hypervizor, passwd") && said.contains("key"),
            "{said}"
        );
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let mode = |mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        mode(0o640);
        let said = read(&[("identity-file", path)]).unwrap_err();
        assert!(
            said.contains("mode 0640") && said.contains("chmod 600"),
            "{said}"
        );
        mode(0o600);
        assert!(read(&[("identity_file", path)]).is_ok());
        // Only root can give a file away.
        if std::os::unix::fs::chown(path, Some(65_534), None).is_ok() {
            let said = read(&[("identity_file", path)]).unwrap_err();
            assert!(said.contains("belongs to user 65534"), "{said}");
        }
    }
}
