//! A fencing device as the configuration describes it.

use crate::{
    command::Call,
    input::Grade,
    text::{host_list, host_map, is_true, parse_ms},
};
use std::collections::{BTreeMap, BTreeSet};

/// What a device can be asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Cut the power.
    Off,
    /// Give power.
    On,
    /// Off and on in one, without proof.
    Reboot,
    /// Say whether the target has power.
    Status,
    /// Say which targets it has.
    List,
    /// Say whether the device itself works.
    Monitor,
}

impl Verb {
    /// The usual word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::On => "on",
            Self::Reboot => "reboot",
            Self::Status => "status",
            Self::List => "list",
            Self::Monitor => "monitor",
        }
    }
}

/// How it is known whom a device can fence (`pcmk_host_check`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostCheck {
    /// `pcmk_host_list` and `pcmk_host_map` say it.
    StaticList,
    /// The device says it when asked.
    DynamicList,
    /// Anybody: its own answer for a target decides.
    Any,
}

/// One `<primitive class="stonith">`, after templates and references are resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Resource id.
    pub id: String,
    /// Agent.
    pub kind: String,
    /// All its parameters, as they are.
    pub parameters: BTreeMap<String, String>,
    /// How its targets are known.
    pub host_check: HostCheck,
    /// Names of targets from `pcmk_host_list` and `pcmk_host_map`.
    pub static_targets: BTreeSet<String>,
    /// The device's names for targets.
    pub ports: BTreeMap<String, String>,
    /// Higher is tried first (meta attribute `priority`).
    pub priority: i64,
    /// Its word alone is enough (meta attribute `trusted`; protocol.md, 24).
    pub trusted: bool,
    /// Nodes where it must not be used (location constraints with -INFINITY).
    pub banned_on: BTreeSet<String>,
}

/// Parameters for us, not for the agent.
const OURS: &[&str] = &["pcmk_", "stonith-timeout", "priority"];

impl Device {
    /// Builds one; problems are what could not be understood, in words.
    pub(crate) fn new(
        id: &str,
        kind: &str,
        parameters: BTreeMap<String, String>,
        meta: &BTreeMap<String, String>,
    ) -> (Self, Vec<String>) {
        let mut problems = Vec::new();
        let get = |name: &str| parameters.get(name).map(String::as_str).unwrap_or_default();
        let (ports, wrong) = host_map(get("pcmk_host_map"));
        for pair in wrong {
            problems.push(format!(
                "pcmk_host_map: '{pair}' is not NODE:PORT (write n1:1;n2:2)"
            ));
        }
        let mut static_targets: BTreeSet<String> =
            host_list(get("pcmk_host_list")).into_iter().collect();
        static_targets.extend(ports.keys().cloned());
        let host_check = match get("pcmk_host_check") {
            "" if static_targets.is_empty() => HostCheck::DynamicList,
            "" | "static-list" => HostCheck::StaticList,
            "dynamic-list" => HostCheck::DynamicList,
            "status" | "none" => HostCheck::Any,
            other => {
                problems.push(format!(
                    "pcmk_host_check: '{other}' is not one of static-list, dynamic-list, status, none"
                ));
                HostCheck::StaticList
            }
        };
        let device = Self {
            id: id.to_owned(),
            kind: kind.to_owned(),
            host_check,
            static_targets,
            ports,
            priority: meta
                .get("priority")
                .and_then(|p| p.parse().ok())
                .unwrap_or_default(),
            trusted: meta.get("trusted").is_some_and(|t| is_true(t)),
            banned_on: BTreeSet::new(),
            parameters,
        };
        (device, problems)
    }

    /// What it proves by accepting an order, without having been asked for the status.
    pub(crate) fn unverified_grade(&self) -> Grade {
        match (self.kind.as_str(), self.trusted) {
            ("ssh" | "external/ssh" | "fence_ssh", _) => Grade::Asked,
            (_, true) => Grade::AcknowledgedTrusted,
            (_, false) => Grade::Acknowledged,
        }
    }

    /// Whether "reboot" is done by the device's own action (`pcmk_reboot_action` names another than "off"),
    /// which proves less than off, verify, on.
    pub(crate) fn own_reboot(&self) -> bool {
        self.parameters
            .get("pcmk_reboot_action")
            .is_some_and(|action| action != "off")
    }

    /// `pcmk_reboot_action=off`: stays off.
    pub(crate) fn reboot_means_off(&self) -> bool {
        self.parameters
            .get("pcmk_reboot_action")
            .is_some_and(|action| action == "off")
    }

    /// How often a call is tried in all (`pcmk_off_retries` and its kin; 2 retries unless set).
    pub(crate) fn attempts(&self, verb: Verb) -> u32 {
        let retries = self
            .setting(verb, "retries")
            .and_then(|r| r.trim().parse().ok());
        retries.unwrap_or(2_u32).saturating_add(1)
    }

    /// Time-out of a call (`pcmk_off_timeout` and its kin).
    pub(crate) fn timeout_ms(&self, verb: Verb) -> Option<u64> {
        self.setting(verb, "timeout").and_then(parse_ms)
    }

    /// Calls at the same time (`pcmk_action_limit`); nothing: no limit.
    pub(crate) fn limit(&self) -> Option<usize> {
        match self.parameters.get("pcmk_action_limit").map(|l| l.parse()) {
            Some(Ok(-1_i64)) => None,
            Some(Ok(limit)) if limit > 0 => usize::try_from(limit).ok(),
            _ => Some(1),
        }
    }

    /// `pcmk_delay_base` plus a random part up to `pcmk_delay_max`.
    pub(crate) fn delay_ms(&self, target: &str, random: u64) -> u64 {
        let base = self.delay_base_ms(target);
        let most = self
            .parameters
            .get("pcmk_delay_max")
            .and_then(|d| parse_ms(d))
            .unwrap_or_default();
        match most.checked_sub(base) {
            Some(room) if room > 0 => base + random % (room + 1),
            _ => base,
        }
    }

    /// A call of it.
    pub fn call(&self, verb: Verb, target: &str, timeout_ms: u64) -> Call {
        Call {
            device: self.id.clone(),
            kind: self.kind.clone(),
            verb,
            action: self
                .setting(verb, "action")
                .unwrap_or(verb.word())
                .to_owned(),
            target: target.to_owned(),
            port: self.ports.get(target).map_or(target, |p| p).to_owned(),
            host_argument: self
                .parameters
                .get("pcmk_host_argument")
                .cloned()
                .unwrap_or_default(),
            parameters: self.agent_parameters(),
            timeout_ms,
        }
    }

    fn delay_base_ms(&self, target: &str) -> u64 {
        let Some(text) = self.parameters.get("pcmk_delay_base") else {
            return 0;
        };
        let of_target = || host_map(text).0.get(target).and_then(|d| parse_ms(d));
        parse_ms(text).or_else(of_target).unwrap_or_default()
    }

    fn setting(&self, verb: Verb, what: &str) -> Option<&str> {
        let name = format!("pcmk_{}_{what}", verb.word());
        self.parameters.get(&name).map(String::as_str)
    }

    fn agent_parameters(&self) -> BTreeMap<String, String> {
        self.parameters
            .iter()
            .filter(|(name, _)| !OURS.iter().any(|ours| name.starts_with(ours)))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(parameters: &[(&str, &str)]) -> (Device, Vec<String>) {
        let parameters = parameters
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        Device::new("d", "fence_x", parameters, &BTreeMap::new())
    }

    #[test]
    fn the_host_check_follows_from_what_is_set() {
        assert_eq!(device(&[]).0.host_check, HostCheck::DynamicList);
        let mapped = device(&[("pcmk_host_map", "n1:7")]).0;
        assert_eq!(mapped.host_check, HostCheck::StaticList);
        assert_eq!(mapped.call(Verb::Off, "n1", 1).port, "7");
        assert_eq!(
            device(&[("pcmk_host_check", "none")]).0.host_check,
            HostCheck::Any
        );
        assert_eq!(device(&[("pcmk_host_check", "statik")]).1.len(), 1);
    }

    #[test]
    fn delays_may_differ_by_node() {
        let d = device(&[("pcmk_delay_base", "n1:5s;n2:1"), ("pcmk_delay_max", "3s")]).0;
        assert_eq!(d.delay_ms("n1", 77), 5_000);
        assert_eq!(d.delay_ms("n2", 0), 1_000);
        assert_eq!(d.delay_ms("n2", 2_000), 3_000);
        assert_eq!(
            device(&[("pcmk_delay_base", "4s")]).0.delay_ms("n9", 1),
            4_000
        );
    }

    #[test]
    fn the_agent_gets_its_own_parameters_only() {
        let d = device(&[("ip", "192.0.2.1"), ("pcmk_off_action", "kill")]).0;
        let call = d.call(Verb::Off, "n1", 1);
        assert_eq!(call.action, "kill");
        assert_eq!(call.parameters.len(), 1);
    }
}
