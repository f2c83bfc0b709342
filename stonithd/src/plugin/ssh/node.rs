//! A node that is asked to end itself.
//!
//! Nothing here proves that it did: a node that does not answer may well work on. What this can say is
//! whether it still answers in the same life, which is a failure, or not.

use super::{
    Until,
    session::{self, Kind, Patience, Trouble},
    settings::{Login, Settings},
    template::{self, Machine},
};
use futures::future::join_all;
use std::time::Duration;
use stonithd_core::{Call, CallResult, Verb};
use tokio::time::sleep;

/// At once: nothing is written back and no daemon is asked.
const REBOOT: &str = "echo b > /proc/sysrq-trigger";
const OFF: &str = "echo o > /proc/sysrq-trigger";

/// Tells lives of a node apart.
const LIFE: &str = "cat /proc/sys/kernel/random/boot_id";

/// One look whether it still answers, in milliseconds: connecting, and all of it. A node that has gone
/// does not even refuse, so that the first must have passed before the second.
const CONNECT_MS: u64 = 2_000;
const LOOK_MS: u64 = 5_000;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(300);

/// One call.
pub(super) async fn call(
    call: &Call,
    settings: &Settings,
    until: Until,
) -> Result<CallResult, String> {
    let node = Node {
        call,
        settings,
        host: settings.hosts.get(&call.port).unwrap_or(&call.port),
        until,
    };
    match (call.verb, call.action.as_str()) {
        (Verb::Off | Verb::Reboot, "reboot") => node.end(&settings.reboot, REBOOT).await,
        (Verb::Off | Verb::Reboot, "off") => node.end(&settings.off, OFF).await,
        (Verb::Monitor, _) => monitor(call, settings, until).await,
        // It cannot say "off", and what it says while it is on proves nothing that is asked for here.
        _ => Ok(CallResult::Unsupported),
    }
}

struct Node<'a> {
    call: &'a Call,
    settings: &'a Settings,
    host: &'a str,
    until: Until,
}

/// What a look has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Silent,
    OtherLife,
    StillThere,
    Unclear,
}

impl Node<'_> {
    async fn end(&self, configured: &Option<String>, usual: &str) -> Result<CallResult, String> {
        let machine = Machine {
            node: &self.call.target,
            name: self.host,
            uri: "",
        };
        let command = &template::filled(configured.as_deref().unwrap_or(usual), &machine)?;
        let login = &self.settings.login;
        let life = self.life(login, self.until).await.map_err(cannot_ask)?;
        let limit = self.until.within(self.settings.power_timeout_ms);
        let trouble = self.ask(command, limit).await?;
        let look = self.watch(life.as_deref(), limit).await;
        let (target, host) = (&self.call.target, self.host);
        let seen = match look {
            Look::Silent => "does not answer there any more",
            Look::OtherLife => "answers in another life",
            Look::StillThere | Look::Unclear => {
                let what = match look {
                    Look::StillThere => "still answers in the same life",
                    _ => "still answers, in which life is not clear",
                };
                let more = trouble.map_or(String::new(), |t| format!(" ({t})"));
                return Err(format!(
                    "{target} was asked with '{command}' and {what} at {host}{more}"
                ));
            }
        };
        tracing::warn!(
            device = self.call.device,
            "{target} was asked to go with '{command}' and {seen}; that is no proof: nothing of it may run elsewhere until its new life is seen or a person confirms that it is down (stonith_admin --confirm {target})"
        );
        Ok(CallResult::Done)
    }

    /// Asks; a session that breaks over it is what a node does that goes at once.
    async fn ask(&self, command: &str, limit: Until) -> Result<Option<Trouble>, String> {
        // Half of the time is for looking what came of it.
        let half_ms = u64::try_from(limit.left().as_millis() / 2).unwrap_or(u64::MAX);
        let login = &self.settings.login;
        let limit = self.until.within(half_ms.max(login.timeout_ms));
        match session::run(login, self.host, command, Patience::Short, limit).await {
            Ok(said) => said.good(self.host, command).map(|_| None),
            Err(t) if matches!(t.kind, Kind::Refused | Kind::Here) => Err(t.text),
            Err(t) => Ok(Some(t)),
        }
    }

    /// Looks until it has gone or the time is over; every look may take its own time.
    async fn watch(&self, life: Option<&str>, limit: Until) -> Look {
        let mut look = Look::Unclear;
        loop {
            look = match self.look().await {
                Err(t) if t.kind == Kind::Silent => return Look::Silent,
                Err(t) if t.kind == Kind::Here => look,
                Err(_) => Look::Unclear,
                Ok(Some(now)) if life.is_some_and(|before| before != now) => {
                    return Look::OtherLife;
                }
                Ok(_) => Look::StillThere,
            };
            if limit.left() <= PAUSE {
                return look;
            }
            sleep(PAUSE).await;
        }
    }

    /// The life it is in, if it says so, by a short look.
    async fn look(&self) -> Result<Option<String>, Trouble> {
        let mut login = self.settings.login.clone();
        login.timeout_ms = login.timeout_ms.min(CONNECT_MS);
        self.life(&login, self.until.within(LOOK_MS)).await
    }

    async fn life(&self, login: &Login, limit: Until) -> Result<Option<String>, Trouble> {
        let said = session::run(login, self.host, LIFE, Patience::Short, limit).await?;
        let life = said.good(self.host, LIFE).unwrap_or_default();
        let life = life.trim();
        Ok((!life.is_empty()).then(|| life.to_owned()))
    }
}

fn cannot_ask(trouble: Trouble) -> String {
    match trouble.kind {
        Kind::Silent | Kind::Unknown => format!(
            "{trouble}; a node that does not answer cannot be asked: another device is needed for it"
        ),
        Kind::Refused | Kind::Here => trouble.text,
    }
}

/// Logs in to every node that the configuration names, to all at once. One that is away is no failure of
/// the device.
async fn monitor(call: &Call, settings: &Settings, until: Until) -> Result<CallResult, String> {
    let limit = until.within(settings.login.timeout_ms + LOOK_MS);
    let login = &settings.login;
    let nodes = call.known.iter().chain(&settings.hosts);
    let looks = nodes.map(|(target, port)| async move {
        let host = settings.hosts.get(port).unwrap_or(port);
        let said = session::run(login, host, LIFE, Patience::Short, limit).await;
        (target, said.err())
    });
    let troubles = join_all(looks).await;
    for (target, trouble) in troubles.into_iter().filter_map(|(n, t)| Some((n, t?))) {
        if matches!(trouble.kind, Kind::Refused | Kind::Here) {
            return Err(format!("{target} cannot be asked: {trouble}"));
        }
        tracing::info!(
            device = call.device,
            "{target} could not be asked now: {trouble}"
        );
    }
    Ok(CallResult::Done)
}
