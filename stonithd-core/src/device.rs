//! A fencing device as the configuration describes it.

use crate::{
    command::Call,
    input::Grade,
    text::{host_list, host_map, is_true, parse_ms},
};
use std::collections::{BTreeMap, BTreeSet};

/// Types that log in over ssh.
const SSH_KINDS: &[&str] = &["ssh", "external/ssh", "fence_ssh"];

/// Parameters of these that name the hypervisor, the usual one first.
const HYPERVISOR_NAMES: &[&str] = &["hypervisor", "ip", "ipaddr"];

/// The hypervisor that an ssh device logs in to; nothing: it logs in to the node itself.
pub fn hypervisor(parameters: &BTreeMap<String, String>) -> Option<&str> {
    let mut values = HYPERVISOR_NAMES.iter().filter_map(|n| parameters.get(*n));
    let value = values.find(|value| !value.trim().is_empty())?;
    Some(value.trim())
}

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
        if device.asks_the_node() {
            problems.push(
                "asks the node itself to go (ssh), which proves nothing: resources wait for the node's new life or for a person, and a node that hangs cannot be asked; have another device beside it, or name the 'hypervisor'"
                    .to_owned(),
            );
            if device.trusted {
                problems.push(
                    "the meta attribute 'trusted' has no effect here: the word of the node itself is never enough"
                        .to_owned(),
                );
            }
        }
        (device, problems)
    }

    /// Whether it can do no more than ask the node itself to go: ssh without a hypervisor.
    pub fn asks_the_node(&self) -> bool {
        SSH_KINDS.contains(&self.kind.as_str()) && hypervisor(&self.parameters).is_none()
    }

    /// What it proves by accepting an order, without having been asked for the status.
    pub(crate) fn unverified_grade(&self) -> Grade {
        match (self.asks_the_node(), self.trusted) {
            (true, _) => Grade::Asked,
            (_, true) => Grade::AcknowledgedTrusted,
            (_, false) => Grade::Acknowledged,
        }
    }

    /// Whether "reboot" is done by the device's own action (`pcmk_reboot_action` names another than "off"),
    /// which proves less than off, verify, on. A node that is asked over ssh can only do it by itself,
    /// and nobody could switch it on again; a hypervisor is always asked for off, status and on.
    pub(crate) fn own_reboot(&self) -> bool {
        if SSH_KINDS.contains(&self.kind.as_str()) {
            return self.asks_the_node() && !self.reboot_means_off();
        }
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

    /// How long it may keep saying "on" after it accepted "off" (`power_timeout`, as fence agents call it).
    pub(crate) fn power_timeout_ms(&self) -> Option<u64> {
        self.parameters
            .get("power_timeout")
            .and_then(|text| parse_ms(text))
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
            known: self.known(),
            timeout_ms,
        }
    }

    /// Targets that the configuration names, with the device's names for them.
    fn known(&self) -> BTreeMap<String, String> {
        let name = |target: &String| self.ports.get(target).unwrap_or(target).clone();
        self.static_targets
            .iter()
            .map(|target| (target.clone(), name(target)))
            .collect()
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
    fn ssh_proves_something_through_a_hypervisor_only() {
        let ssh = |parameters: &[(&str, &str)], trusted: &str| {
            let pair = |(n, v): &(&str, &str)| ((*n).to_owned(), (*v).to_owned());
            let parameters = parameters.iter().map(pair).collect();
            let meta = BTreeMap::from([("trusted".to_owned(), trusted.to_owned())]);
            Device::new("d", "ssh", parameters, &meta)
        };
        let (asks, problems) = ssh(&[], "true");
        assert_eq!(asks.unverified_grade(), Grade::Asked);
        assert!(asks.own_reboot());
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(!ssh(&[("pcmk_reboot_action", "off")], "").0.own_reboot());
        let (proves, problems) = ssh(&[("ip", "kvm1"), ("pcmk_reboot_action", "reboot")], "");
        assert_eq!(proves.unverified_grade(), Grade::Acknowledged);
        assert!(!proves.own_reboot(), "off, verify, on");
        assert_eq!(problems, Vec::<String>::new());
    }

    #[test]
    fn the_agent_gets_its_own_parameters_only() {
        let d = device(&[("ip", "192.0.2.1"), ("pcmk_off_action", "kill")]).0;
        let call = d.call(Verb::Off, "n1", 1);
        assert_eq!(call.action, "kill");
        assert_eq!(call.parameters.len(), 1);
    }
}
