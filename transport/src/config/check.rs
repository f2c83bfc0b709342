//! What is wrong with a configuration, with its line.

use super::{Config, ConfigError, Ports};
use std::{collections::BTreeSet, path::Path};

/// A value that parses but cannot be meant.
pub(super) struct Wrong {
    /// Table it stands in; several of that name (`members`) are told apart by `nth`.
    table: &'static str,
    nth: usize,
    key: &'static str,
    reason: String,
}

impl Wrong {
    fn new(table: &'static str, key: &'static str, reason: String) -> Self {
        Self {
            table,
            nth: 0,
            key,
            reason,
        }
    }

    pub(super) fn locate(self, text: &str, path: &Path) -> ConfigError {
        ConfigError::Invalid {
            path: path.to_owned(),
            line: line_of(text, self.table, self.nth, self.key),
            key: Some(format!("{}.{}", self.table, self.key)),
            reason: self.reason,
        }
    }
}

/// Translates what the TOML parser says.
pub(super) fn syntax(text: &str, path: &Path, error: &toml::de::Error) -> ConfigError {
    let at = error.span().map_or(0, |span| span.start).min(text.len());
    let before = text.get(..at).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    ConfigError::Invalid {
        path: path.to_owned(),
        line,
        key: key_at(text, line),
        reason: error.message().trim().replace('\n', "; "),
    }
}

fn key_at(text: &str, line: usize) -> Option<String> {
    let mut table = String::new();
    let mut found = None;
    for content in text.lines().take(line) {
        let content = content.trim();
        if let Some(name) = table_name(content) {
            table = name.to_owned();
            found = None;
        } else {
            found = key_name(content).or(found);
        }
    }
    match (table.as_str(), found) {
        ("", None) => None,
        ("", Some(key)) => Some(key.to_owned()),
        (table, None) => Some(table.to_owned()),
        (table, Some(key)) => Some(format!("{table}.{key}")),
    }
}

fn table_name(line: &str) -> Option<&str> {
    let inner = line.strip_prefix('[')?.trim_start_matches('[');
    inner.split(']').next().map(str::trim)
}

fn key_name(line: &str) -> Option<&str> {
    if line.starts_with('#') {
        return None;
    }
    line.split_once('=').map(|(key, _)| key.trim())
}

fn line_of(text: &str, table: &str, nth: usize, key: &str) -> usize {
    let mut heads = 0;
    let mut inside = false;
    let mut head_line = 1;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(name) = table_name(line) {
            inside = name == table && heads == nth;
            heads += usize::from(name == table);
            head_line = if inside { index + 1 } else { head_line };
        } else if inside && key_name(line) == Some(key) {
            return index + 1;
        }
    }
    head_line
}

/// Looks for values that cannot be meant.
pub(super) fn sense(config: &Config) -> Result<(), Wrong> {
    name("cluster", "name", &config.cluster.name)?;
    name("cluster", "id", &config.cluster.id)?;
    name("node", "name", &config.node.name)?;
    if config.node.addresses.is_empty() {
        let reason = "a node needs at least one address, for example [\"192.0.2.1\"]".into();
        return Err(Wrong::new("node", "addresses", reason));
    }
    if config.node.raft_id == 0 {
        let reason = "0 is no identity in the log; the first node of a cluster has 1".into();
        return Err(Wrong::new("node", "raft_id", reason));
    }
    ports(&config.ports)?;
    members(config)?;
    alerts(config)?;
    timing(config)
}

fn alerts(config: &Config) -> Result<(), Wrong> {
    for (key, value) in config.alerts.must_not_be_zero() {
        if value == 0 {
            let reason = "0 would let no agent run; leave <alerts> out of the CIB for that".into();
            return Err(Wrong::new("alerts", key, reason));
        }
    }
    let Some(metrics) = &config.metrics else {
        return Ok(());
    };
    if metrics.listen.port() == 0 {
        let reason = "port 0 is another one at each start; give one, for example 9664".into();
        return Err(Wrong::new("metrics", "listen", reason));
    }
    if metrics.request_timeout_ms == 0 || metrics.connections == 0 {
        let reason = "0 would let nobody be answered".into();
        let key = match metrics.connections {
            0 => "connections",
            _ => "request_timeout_ms",
        };
        return Err(Wrong::new("metrics", key, reason));
    }
    Ok(())
}

fn name(table: &'static str, key: &'static str, value: &str) -> Result<(), Wrong> {
    match bad_name(value) {
        None => Ok(()),
        Some(reason) => Err(Wrong::new(table, key, reason)),
    }
}

/// Why `value` cannot be a name in a certificate.
pub(crate) fn bad_name(value: &str) -> Option<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if value.is_empty() || value.len() > 63 {
        return Some(format!("'{value}' must have 1 to 63 characters"));
    }
    let stranger = value.chars().find(|c| !fits(*c));
    stranger.map(|c| format!("'{value}' contains {c:?}; letters, digits, '.', '-', '_' are right"))
}

fn ports(ports: &Ports) -> Result<(), Wrong> {
    let mut seen = BTreeSet::new();
    let all = [
        ("crmd", ports.crmd),
        ("stonithd", ports.stonithd),
        ("join", ports.join),
        ("witness", ports.witness),
    ];
    for (key, port) in all {
        if port == 0 || !seen.insert(port) {
            let reason = format!("{port} is zero or used twice; give each of the four its own");
            return Err(Wrong::new("ports", key, reason));
        }
    }
    Ok(())
}

fn members(config: &Config) -> Result<(), Wrong> {
    for (nth, member) in config.members.iter().enumerate() {
        let here = |key, reason| Wrong {
            table: "members",
            nth,
            key,
            reason,
        };
        if let Some(reason) = bad_name(&member.node) {
            return Err(here("node", reason));
        }
        if member.addresses.is_empty() {
            let reason = format!("'{}' needs at least one address", member.node);
            return Err(here("addresses", reason));
        }
        let twice = |m: &&super::Member| m.node == member.node || m.raft_id == member.raft_id;
        if config.members.iter().filter(twice).count() > 1 {
            let reason = format!("'{}' or its raft_id stands here twice", member.node);
            return Err(here("node", reason));
        }
        if member.node == config.node.name && member.raft_id != config.node.raft_id {
            let reason = format!(
                "{} differs from node.raft_id {}; both name this node",
                member.raft_id, config.node.raft_id
            );
            return Err(here("raft_id", reason));
        }
    }
    Ok(())
}

/// `key` must be at least `factor` times `base`.
fn at_least(
    (key, value): (&'static str, u64),
    factor: u64,
    (base, base_value): (&str, u64),
    why: &str,
) -> Result<(), Wrong> {
    let least = base_value.saturating_mul(factor);
    if value >= least {
        return Ok(());
    }
    let reason =
        format!("{value} is too short: at least {least} ({factor} x {base} = {base_value}), {why}");
    Err(Wrong::new("timing", key, reason))
}

fn timing(config: &Config) -> Result<(), Wrong> {
    let t = &config.timing;
    for (key, value) in t.must_not_be_zero() {
        if value == 0 {
            let reason = "0 would never let anything happen; give a time".into();
            return Err(Wrong::new("timing", key, reason));
        }
    }
    at_least(
        ("failure_timeout_ms", t.failure_timeout_ms),
        3,
        ("heartbeat_interval_ms", t.heartbeat_interval_ms),
        "or a single late heartbeat costs a node its life",
    )?;
    at_least(
        ("lease_ms", t.lease_ms),
        5,
        ("heartbeat_interval_ms", t.heartbeat_interval_ms),
        "or a coordinator loses its assurance of a quorum for a few late heartbeats",
    )?;
    at_least(
        ("link_stale_ms", t.link_stale_ms),
        1,
        (
            "heartbeat_interval_ms + 1",
            t.heartbeat_interval_ms.saturating_add(1),
        ),
        "or a link is given up between two heartbeats",
    )?;
    at_least(
        ("raft_election_min_ms", t.raft_election_min_ms),
        2,
        ("raft_heartbeat_ms", t.raft_heartbeat_ms),
        "or leaders are deposed for one late message",
    )?;
    at_least(
        ("raft_election_max_ms", t.raft_election_max_ms),
        1,
        ("raft_election_min_ms + 1", t.raft_election_min_ms + 1),
        "candidates are kept apart by a random time between the two",
    )
}
