//! `stonith_admin`: fence nodes, see devices and what was fenced.

pub(crate) mod installed;
mod show;

use crate::daemon::{self, Daemon, DaemonError, exit};
use clap::{ArgAction, ArgGroup, Parser, ValueEnum};
use crmd_core::request::{Request, Response};
use proto::fencing::{
    AskRequest, CanRequest, Device, DevicesRequest, FenceReply, HistoryRequest, MonitorRequest,
    fencing_client::FencingClient,
};
use show::{Event, Shown};
use std::{ffi::OsString, process::ExitCode, time::Duration};
use tokio::runtime::Runtime;
use tonic::transport::Channel;
use transport::config::{self, Config};

/// For answers that need no device.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Queries and controls the fencing of nodes.
#[derive(Debug, Parser)]
#[command(name = "stonith_admin", version, disable_version_flag = true)]
#[command(group = ArgGroup::new("command").required(true).multiple(false))]
struct Arguments {
    /// List the devices of the configuration.
    #[arg(short = 'L', long, group = "command")]
    list_registered: bool,
    /// List all fence agents that can be used on this node.
    #[arg(short = 'I', long, group = "command")]
    list_installed: bool,
    /// List the devices that can fence this node.
    #[arg(short = 'l', long, value_name = "NODE", group = "command")]
    list: Option<String>,
    /// Check whether this device works.
    #[arg(short = 'Q', long, value_name = "DEVICE", group = "command")]
    query: Option<String>,
    /// Show what was fenced: one node, or '*' for all.
    #[arg(short = 'H', long, value_name = "NODE", group = "command")]
    history: Option<String>,
    /// Show what a fence agent says of itself (with --agent).
    #[arg(short = 'M', long, group = "command")]
    metadata: bool,
    /// Reboot a node: off, verify, on.
    #[arg(short = 'B', long, value_name = "NODE", group = "command")]
    reboot: Option<String>,
    /// Switch a node off and leave it off.
    #[arg(
        short = 'F',
        long,
        alias = "fence",
        value_name = "NODE",
        group = "command"
    )]
    off: Option<String>,
    /// Switch a node on.
    #[arg(
        short = 'U',
        long,
        alias = "unfence",
        value_name = "NODE",
        group = "command"
    )]
    on: Option<String>,
    /// Tell the cluster that a node is down: only when you have seen it yourself.
    #[arg(short = 'C', long, value_name = "NODE", group = "command")]
    confirm: Option<String>,
    /// With --metadata: which fence agent.
    #[arg(short = 'a', long, value_name = "AGENT")]
    agent: Option<String>,
    /// How long the operation may take (120s, 2min).
    #[arg(short = 't', long, value_name = "TIME", default_value = "120s", value_parser = time_ms)]
    timeout: u64,
    /// Who asks, for the history.
    #[arg(long, value_name = "NAME", default_value = "stonith_admin")]
    client: String,
    /// Why, for the history.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Say more; may be given again.
    #[arg(short = 'V', long, action = ArgAction::Count)]
    verbose: u8,
    /// Only the exit code, and errors.
    #[arg(short = 'q', long)]
    quiet: bool,
    /// Print the version.
    #[arg(short = '$', long, action = ArgAction::Version)]
    version: Option<bool>,
    /// Form of the output.
    #[arg(long, value_name = "FORM", default_value = "text")]
    output_as: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Text,
    Xml,
    None,
}

/// The program.
pub(crate) fn main(args: Vec<OsString>) -> ExitCode {
    let command_line = std::iter::once("stonith_admin".to_owned())
        .chain(args.iter().map(|a| a.to_string_lossy().into_owned()))
        .collect::<Vec<_>>()
        .join(" ");
    let arguments = match daemon::arguments::<Arguments>("stonith_admin", args) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    let result = run(&arguments);
    let form = match arguments.quiet {
        true => Form::None,
        false => arguments.output_as,
    };
    let (code, problem) = match &result {
        Ok(shown) => (shown.code(), String::new()),
        Err(error) => (error.exit_code(), error.to_string()),
    };
    match form {
        Form::Xml => print!(
            "{}",
            show::xml(&command_line, result.as_ref().ok(), code, &problem)
        ),
        Form::Text | Form::None => {
            if let (Form::Text, Ok(shown)) = (form, &result) {
                print!("{}", shown.text(arguments.verbose > 0));
            }
            if !problem.is_empty() {
                eprintln!("stonith_admin: {problem}");
            }
        }
    }
    code.into()
}

fn run(arguments: &Arguments) -> Result<Shown, DaemonError> {
    if arguments.list_installed {
        return Ok(Shown::Names {
            title: "Installed fence devices",
            names: installed::names(),
        });
    }
    if arguments.metadata {
        return metadata(arguments);
    }
    if let Some(target) = &arguments.history {
        return history(target);
    }
    let mut fencing = Fencing::connect()?;
    if arguments.list_registered {
        return Ok(Shown::Devices(fencing.devices()?));
    }
    if let Some(target) = &arguments.list {
        let names = fencing.can(target)?;
        return Ok(Shown::Names {
            title: "Fence devices for this node",
            names: names.into_iter().map(|d| d.id).collect(),
        });
    }
    if let Some(device) = &arguments.query {
        let answer = fencing.monitor(device, arguments.timeout)?;
        return Ok(Shown::Checked {
            device: device.clone(),
            problem: answer,
        });
    }
    act(&mut fencing, arguments)
}

fn act(fencing: &mut Fencing, arguments: &Arguments) -> Result<Shown, DaemonError> {
    let choices = [
        ("reboot", &arguments.reboot),
        ("off", &arguments.off),
        ("on", &arguments.on),
        ("confirm", &arguments.confirm),
    ];
    let chosen = choices.iter().find_map(|(a, t)| Some((*a, t.as_ref()?)));
    let Some((action, target)) = chosen else {
        return Err(DaemonError::Answer("no command was given".to_owned()));
    };
    let reply = fencing.ask(AskRequest {
        target: target.clone(),
        action: action.to_owned(),
        timeout_ms: arguments.timeout,
        client: format!("{}.{}", arguments.client, std::process::id()),
        reason: arguments.reason.clone(),
    })?;
    Ok(Shown::Fenced {
        action,
        target: target.clone(),
        reply,
    })
}

fn metadata(arguments: &Arguments) -> Result<Shown, DaemonError> {
    let agent = arguments.agent.as_deref().unwrap_or_default();
    let runtime = runtime()?;
    let limit = Duration::from_millis(arguments.timeout);
    match runtime.block_on(installed::metadata(agent, limit)) {
        Ok(text) => Ok(Shown::Text(text)),
        Err(reason) => Ok(Shown::Missing(reason)),
    }
}

/// The cluster's, or while crmd is away this node's own.
fn history(target: &str) -> Result<Shown, DaemonError> {
    let target = (target != "*").then(|| target.to_owned());
    let request = Request::FenceHistory {
        target: target.as_deref().map(Into::into),
    };
    let answer = Daemon::connect().and_then(|mut d| d.call(&request, Some(ANSWER_LIMIT)));
    match answer {
        Ok(Response::FenceHistory(records)) => Ok(Shown::History {
            events: records.into_iter().map(Event::from).collect(),
            complete: true,
        }),
        Ok(other) => Err(DaemonError::Answer(format!("{other:?}"))),
        Err(error) => {
            let entries = Fencing::connect()
                .and_then(|mut f| f.history(target.unwrap_or_default()))
                .map_err(|_| error)?;
            Ok(Shown::History {
                events: entries.into_iter().map(Event::from).collect(),
                complete: false,
            })
        }
    }
}

/// The fencing daemon of this node.
struct Fencing {
    runtime: Runtime,
    client: FencingClient<Channel>,
}

impl Fencing {
    fn connect() -> Result<Self, DaemonError> {
        let config = Config::load(&config::path(None))?;
        let runtime = runtime()?;
        let channel = runtime.block_on(transport::local::connect(
            &config.paths.stonithd_socket(),
            config.timing.local_connect_timeout_ms,
        ))?;
        let client = FencingClient::new(channel);
        Ok(Self { runtime, client })
    }

    fn devices(&mut self) -> Result<Vec<Device>, DaemonError> {
        let answer = self
            .client
            .devices(limited(DevicesRequest {}, ANSWER_LIMIT));
        let answer = self.runtime.block_on(answer).map_err(DaemonError::Status)?;
        Ok(answer.into_inner().devices)
    }

    fn can(&mut self, target: &str) -> Result<Vec<Device>, DaemonError> {
        let request = CanRequest {
            target: target.to_owned(),
            action: "off".to_owned(),
        };
        let answer = self.client.can(limited(request, ANSWER_LIMIT));
        let answer = self.runtime.block_on(answer).map_err(DaemonError::Status)?;
        Ok(answer.into_inner().devices)
    }

    fn history(
        &mut self,
        target: String,
    ) -> Result<Vec<proto::fencing::HistoryEntry>, DaemonError> {
        let answer = self
            .client
            .history(limited(HistoryRequest { target }, ANSWER_LIMIT));
        let answer = self.runtime.block_on(answer).map_err(DaemonError::Status)?;
        Ok(answer.into_inner().entries)
    }

    fn monitor(&mut self, device: &str, timeout_ms: u64) -> Result<Option<String>, DaemonError> {
        let limit = Duration::from_millis(timeout_ms) + ANSWER_LIMIT;
        let request = MonitorRequest {
            device: device.to_owned(),
            timeout_ms,
        };
        let answer = self.client.monitor(limited(request, limit));
        let answer = self.runtime.block_on(answer).map_err(DaemonError::Status)?;
        let reply = answer.into_inner();
        Ok((!reply.ok).then_some(reply.reason))
    }

    fn ask(&mut self, ask: AskRequest) -> Result<FenceReply, DaemonError> {
        // The daemon's own deadline comes first; this one is for a daemon that hangs.
        let limit = Duration::from_millis(ask.timeout_ms) + ANSWER_LIMIT + ANSWER_LIMIT;
        let answer = self.client.ask(limited(ask, limit));
        let answer = self.runtime.block_on(answer).map_err(DaemonError::Status)?;
        Ok(answer.into_inner())
    }
}

fn limited<T>(message: T, limit: Duration) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(limit);
    request
}

fn runtime() -> Result<Runtime, DaemonError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(DaemonError::Start)
}

fn time_ms(text: &str) -> Result<u64, String> {
    ocf_runner::metadata::parse_ms(text)
        .filter(|ms| *ms > 0)
        .ok_or_else(|| "expected a time such as 120s or 2min".to_owned())
}

impl Shown {
    fn code(&self) -> u8 {
        match self {
            Self::Fenced { reply, .. } if !reply.done => exit::ERROR,
            Self::Checked {
                problem: Some(_), ..
            } => exit::ERROR,
            Self::Missing(_) => exit::NO_SUCH,
            _ => exit::OK,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_options_fit_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn one_command_is_needed() {
        let parse = |words: &[&str]| Arguments::try_parse_from(words);
        assert!(parse(&["stonith_admin", "-V"]).is_err());
        assert!(parse(&["stonith_admin", "-B", "n1", "-F", "n1"]).is_err());
        let words = [
            "stonith_admin",
            "-V",
            "--fence",
            "n1",
            "-t",
            "2min",
            "--output-as=xml",
        ];
        let arguments = parse(&words).unwrap();
        assert_eq!(arguments.timeout, 120_000);
    }
}
