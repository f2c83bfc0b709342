//! A node's virtual machine, switched by commands on its hypervisor.

use super::{
    Until,
    session::{self, Patience, Said, Trouble},
    settings::Settings,
    template::{self, Machine},
};
use stonithd_core::{Call, CallResult, Power, Verb};

/// libvirt's commands, in its own words whatever language is set there.
const OFF: &str = "LC_ALL=C virsh -c {uri} destroy {domain}";
const ON: &str = "LC_ALL=C virsh -c {uri} start {domain}";
const STATUS: &str = "LC_ALL=C virsh -c {uri} domstate --reason {domain}";
const LIST: &str = "LC_ALL=C virsh -c {uri} list --all --name";

/// Why libvirt says that a machine is "shut off" here: it runs on elsewhere.
const MIGRATED: &str = "migrated";

/// One call.
pub(super) async fn call(
    call: &Call,
    settings: &Settings,
    host: &str,
    until: Until,
) -> Result<CallResult, String> {
    let there = There {
        call,
        settings,
        host,
        until,
    };
    if matches!(call.verb, Verb::Off | Verb::On | Verb::Status) && call.action != call.verb.word() {
        return Ok(CallResult::Unsupported);
    }
    match call.verb {
        Verb::Off => there.switch(&settings.off, OFF, Power::Off).await,
        Verb::On => there.switch(&settings.on, ON, Power::On).await,
        Verb::Status => there.status(&there.name()).await.map(CallResult::Status),
        Verb::List => there.list().await.map(CallResult::Targets),
        Verb::Monitor => there.monitor().await,
        // Off, status, on prove more.
        Verb::Reboot => Ok(CallResult::Unsupported),
    }
}

struct There<'a> {
    call: &'a Call,
    settings: &'a Settings,
    host: &'a str,
    until: Until,
}

impl There<'_> {
    /// What the hypervisor calls the target.
    fn name(&self) -> String {
        let port = &self.call.port;
        self.settings.hosts.get(port).unwrap_or(port).clone()
    }

    /// A command that complains about a machine that is already as it shall be has done its work.
    async fn switch(
        &self,
        configured: &Option<String>,
        usual: &str,
        wanted: Power,
    ) -> Result<CallResult, String> {
        let name = self.name();
        let command = self.command(configured, usual, &name)?;
        let complaint = match self.run(&command).await?.good(self.host, &command) {
            Ok(_) => return Ok(CallResult::Done),
            Err(complaint) => complaint,
        };
        match self.status(&name).await {
            Ok(power) if power == wanted => Ok(CallResult::Done),
            _ => Err(complaint),
        }
    }

    async fn status(&self, name: &str) -> Result<Power, String> {
        let command = self.command(&self.settings.status, STATUS, name)?;
        let said = self.run(&command).await?.good(self.host, &command)?;
        power(&said, self.settings).map_err(|e| format!("{name} on {}: {e}", self.host))
    }

    async fn list(&self) -> Result<Vec<String>, String> {
        let command = self.command(&self.settings.list, LIST, "")?;
        let said = self.run(&command).await?.good(self.host, &command)?;
        let names = said.lines().map(str::trim).filter(|l| !l.is_empty());
        Ok(names.map(str::to_owned).collect())
    }

    /// Whether every machine that the configuration names is known there, whatever its power is: a slip
    /// would otherwise show when the node has to be fenced.
    async fn monitor(&self) -> Result<CallResult, String> {
        let of_list = self.settings.hosts.values();
        let mut names: Vec<&String> = of_list.collect();
        for port in self.call.known.values() {
            let name = self.settings.hosts.get(port).unwrap_or(port);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if names.is_empty() {
            self.list().await?;
        }
        for name in names {
            self.status(name).await?;
        }
        Ok(CallResult::Done)
    }

    fn command(
        &self,
        configured: &Option<String>,
        usual: &str,
        name: &str,
    ) -> Result<String, String> {
        let template = configured.as_deref().unwrap_or(usual);
        let machine = Machine {
            node: &self.call.target,
            name,
            uri: &self.settings.uri,
        };
        template::filled(template, &machine)
    }

    async fn run(&self, command: &str) -> Result<Said, Trouble> {
        let login = &self.settings.login;
        session::run(login, self.host, command, Patience::Usual, self.until).await
    }
}

/// What a status command's last line means.
fn power(said: &str, settings: &Settings) -> Result<Power, String> {
    let line = said.lines().rev().map(str::trim).find(|l| !l.is_empty());
    let line = line
        .ok_or("its status command said nothing")?
        .to_lowercase();
    let (state, reason) = match line.strip_suffix(')').and_then(|l| l.rsplit_once(" (")) {
        Some((state, reason)) => (state, reason),
        None => (line.as_str(), ""),
    };
    let is_in = |states: &[String]| states.iter().any(|s| s == state || *s == line);
    if is_in(&settings.on_states) {
        return Ok(Power::On);
    }
    if !is_in(&settings.off_states) {
        return Err(format!(
            "'{line}' is neither among its off_states ({}) nor among its on_states ({})",
            settings.off_states.join(", "),
            settings.on_states.join(", ")
        ));
    }
    match reason {
        MIGRATED => Err("it is shut off here because it has migrated: it runs on another hypervisor, which this device does not ask".to_owned()),
        _ => Ok(Power::Off),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn states() {
        let settings = Settings::read(&BTreeMap::new()).unwrap();
        let of = |said| power(said, &settings);
        assert_eq!(of("shut off (destroyed)\n\n"), Ok(Power::Off));
        assert_eq!(of("Retrieved runtime info\nPowered off\n"), Ok(Power::Off));
        assert_eq!(of("running (booted)\n"), Ok(Power::On));
        assert_eq!(of("paused (I/O error)\n"), Ok(Power::On));
        assert_eq!(of("crashed (panicked)\n"), Ok(Power::On));
        assert!(
            of("shut off (migrated)")
                .unwrap_err()
                .contains("another hypervisor")
        );
        assert!(of("offline").unwrap_err().contains("off_states"));
        assert!(of("").unwrap_err().contains("nothing"));
        let own = BTreeMap::from([("off_states".to_owned(), "Status: stopped".to_owned())]);
        let settings = Settings::read(&own).unwrap();
        assert_eq!(power("status: stopped\n", &settings), Ok(Power::Off));
        assert!(power("shut off\n", &settings).is_err());
    }
}
