//! The environment of an OCF agent (OCF resource agent API 1.1, "Parameters", and what Debian's
//! `ocf-shellfuncs` and `ocf-directories` look at).

use crate::{Config, action::Action, reason};
use std::path::PathBuf;

/// Feature set that agents may compare (`OCF_RESKEY_crm_feature_set`): Pacemaker 3.0's.
const FEATURE_SET: &str = "3.20.1";

/// Where programs are found; the tools' own directory comes before it.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin";

/// Known by this one.
const TOOL: &str = "crm_attribute";

/// Handed on from the daemon: the first so that tools called by agents find their own node's daemon.
const INHERITED: &[&str] = &["SYSTOLE_CONFIG", "TZ"];

/// The first directory of our own `PATH` with the tools that agents call.
pub(crate) fn tools_dir() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).find(|dir| dir.is_absolute() && dir.join(TOOL).exists())
}

/// Everything but the mark.
pub(crate) fn of(config: &Config, action: &Action) -> Vec<(String, String)> {
    let mut env = common(config);
    env.extend(identity(config, action));
    env.extend(
        action
            .parameters
            .iter()
            .filter_map(|(name, value)| Some((parameter_variable(name)?, value.clone()))),
    );
    if !action.parameters.contains_key("CRM_meta_interval") {
        env.push((
            "OCF_RESKEY_CRM_meta_interval".to_owned(),
            action.interval_ms.to_string(),
        ));
    }
    env
}

/// What every program started for a resource gets.
pub(crate) fn common(config: &Config) -> Vec<(String, String)> {
    let mut env: Vec<(String, String)> = INHERITED
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
        .collect();
    let path = match &config.sbin_dir {
        Some(dir) => format!("{}:{PATH}", dir.display()),
        None => PATH.to_owned(),
    };
    env.push(("PATH".to_owned(), path));
    env.extend(config.environment.iter().cloned());
    env
}

fn identity(config: &Config, action: &Action) -> Vec<(String, String)> {
    let mut env = vec![
        ("OCF_ROOT", config.ocf_root.display().to_string()),
        ("OCF_RA_VERSION_MAJOR", "1".to_owned()),
        ("OCF_RA_VERSION_MINOR", "1".to_owned()),
        ("OCF_EXIT_REASON_PREFIX", reason::PREFIX.to_owned()),
        ("OCF_RESOURCE_INSTANCE", action.resource.clone()),
        ("OCF_RESOURCE_TYPE", action.kind.clone()),
        ("OCF_RESKEY_crm_feature_set", FEATURE_SET.to_owned()),
        ("HA_LOGFACILITY", config.log_facility.clone()),
        ("HA_logfacility", config.log_facility.clone()),
        ("HA_use_logd", "off".to_owned()),
        ("HA_debug", "0".to_owned()),
        ("PCMK_logfacility", config.log_facility.clone()),
        ("PCMK_debug", "0".to_owned()),
    ];
    if let Some(provider) = &action.provider {
        env.push(("OCF_RESOURCE_PROVIDER", provider.clone()));
    }
    if let Some(dir) = &config.sbin_dir {
        env.push(("HA_SBIN_DIR", dir.display().to_string()));
    }
    if let Some(dir) = &config.scratch_dir {
        env.push(("HA_RSCTMP", dir.display().to_string()));
    }
    env.into_iter().map(|(n, v)| (n.to_owned(), v)).collect()
}

/// Nothing for names that cannot be a variable; `-` and `.` become `_`.
fn parameter_variable(name: &str) -> Option<String> {
    let usable = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || !name.chars().all(usable) {
        return None;
    }
    Some(format!("OCF_RESKEY_{}", name.replace(['-', '.'], "_")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn parameters_and_meta_attributes() {
        let action = Action {
            resource: "ip:0".to_owned(),
            provider: Some("heartbeat".to_owned()),
            kind: "IPaddr2".to_owned(),
            interval_ms: 10_000,
            parameters: BTreeMap::from([
                ("CRM_meta_on_node".to_owned(), "n1".to_owned()),
                ("ip".to_owned(), "192.0.2.1".to_owned()),
                ("bad name".to_owned(), "x".to_owned()),
            ]),
            ..Action::default()
        };
        let env: BTreeMap<_, _> = of(&Config::default(), &action).into_iter().collect();
        let get = |name: &str| env.get(name).map(String::as_str);
        assert_eq!(get("OCF_RESKEY_ip"), Some("192.0.2.1"));
        assert_eq!(get("OCF_RESKEY_CRM_meta_on_node"), Some("n1"));
        assert_eq!(get("OCF_RESKEY_CRM_meta_interval"), Some("10000"));
        assert_eq!(get("OCF_RESOURCE_INSTANCE"), Some("ip:0"));
        assert_eq!(get("OCF_RESOURCE_PROVIDER"), Some("heartbeat"));
        assert!(!env.keys().any(|name| name.contains("bad")));
    }
}
