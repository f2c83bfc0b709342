//! How the tools reach the node daemon: its Unix socket, one blocking call at a time.

use cib::Element;
use crmd_core::{
    request::{Refusal, RefusalKind, Request, Response},
    view::NodeView,
};
use proto::local::{CallRequest, QueryRequest, StateRequest, local_client::LocalClient};
use std::{path::Path, time::Duration};
use tokio::runtime::Runtime;
use tonic::{Code, Status, transport::Channel};
use transport::{
    config::{self, Config, ConfigError},
    local::LocalError,
};

pub(crate) use crate::common::exit;

/// Largest answer: a whole configuration with its status.
const MAX_MESSAGE_BYTES: usize = 256 * 1024 * 1024;

/// Why a tool did not get what it wanted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DaemonError {
    /// The daemons' configuration file.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The socket.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// The daemon said no.
    #[error("{}", .0.text)]
    Refused(Refusal),
    /// The call failed.
    #[error("{}", .0.message())]
    Status(Status),
    /// An answer that cannot be understood: another version answers.
    #[error("the daemon's answer cannot be read: {0}")]
    Answer(String),
    /// No runtime.
    #[error("cannot start: {0}")]
    Start(std::io::Error),
}

impl DaemonError {
    /// The field's exit code for it.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) => exit::CONFIG,
            Self::Local(LocalError::Denied(_)) => exit::INSUFFICIENT_PRIVILEGE,
            Self::Local(_) => exit::DISCONNECTED,
            Self::Refused(refusal) => refusal_code(refusal.kind),
            Self::Status(status) => status_code(status.code()),
            Self::Answer(_) | Self::Start(_) => exit::ERROR,
        }
    }
}

fn refusal_code(kind: RefusalKind) -> u8 {
    match kind {
        RefusalKind::NotFound => exit::NO_SUCH,
        RefusalKind::Exists => exit::EXISTS,
        RefusalKind::Invalid => exit::CONFIG,
        RefusalKind::OldVersion => exit::OLD,
        RefusalKind::NoQuorum => exit::QUORUM,
        RefusalKind::TimedOut => exit::TIMEOUT,
        RefusalKind::Token => exit::INSUFFICIENT_PRIVILEGE,
        RefusalKind::Fencing | RefusalKind::Storage | RefusalKind::Other => exit::ERROR,
    }
}

fn status_code(code: Code) -> u8 {
    match code {
        Code::PermissionDenied | Code::Unauthenticated => exit::INSUFFICIENT_PRIVILEGE,
        Code::NotFound => exit::NO_SUCH,
        Code::DeadlineExceeded => exit::TIMEOUT,
        Code::Unavailable => exit::DISCONNECTED,
        Code::InvalidArgument => exit::USAGE,
        _ => exit::ERROR,
    }
}

/// The node daemon of this node.
#[derive(Debug)]
pub(crate) struct Daemon {
    runtime: Runtime,
    client: LocalClient<Channel>,
    config: Config,
}

impl Daemon {
    /// Connects to the daemon that the configuration file names (`SYSTOLE_CONFIG`, or the usual place).
    ///
    /// # Errors
    /// No configuration, no daemon, no permission.
    pub(crate) fn connect() -> Result<Self, DaemonError> {
        Self::connect_with(&config::path(None))
    }

    /// As [`Self::connect`], with this configuration file.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn connect_with(file: &Path) -> Result<Self, DaemonError> {
        let config = Config::load(file)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(DaemonError::Start)?;
        let connect = transport::local::connect;
        let channel = runtime.block_on(connect(
            &config.paths.crmd_socket(),
            config.timing.local_connect_timeout_ms,
        ))?;
        let client = LocalClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Ok(Self {
            runtime,
            client,
            config,
        })
    }

    /// The configuration file's content.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Configuration and status in one document.
    ///
    /// # Errors
    /// The daemon does not answer, or not with a document.
    pub(crate) fn document(&mut self) -> Result<Element, DaemonError> {
        self.query("")
    }

    /// What `xpath` selects: the element, or several in `<xpath-query>`.
    ///
    /// # Errors
    /// The expression is wrong, nothing matches, or the daemon does not answer.
    pub(crate) fn query(&mut self, xpath: &str) -> Result<Element, DaemonError> {
        let xpath = xpath.to_owned();
        let answer = self
            .runtime
            .block_on(self.client.query(QueryRequest { xpath }))
            .map_err(DaemonError::Status)?;
        Element::parse(&answer.into_inner().xml).map_err(|e| DaemonError::Answer(e.to_string()))
    }

    /// What the daemon says of itself.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) fn state(&mut self) -> Result<NodeView, DaemonError> {
        let answer = self
            .runtime
            .block_on(self.client.state(StateRequest {}))
            .map_err(DaemonError::Status)?;
        serde_json::from_slice(&answer.into_inner().state)
            .map_err(|e| DaemonError::Answer(e.to_string()))
    }

    /// Asks for something and waits until it has taken effect, at most `limit` (nothing: the
    /// configuration's `request_timeout_ms`).
    ///
    /// # Errors
    /// It was refused, or the daemon does not answer.
    pub(crate) fn call(
        &mut self,
        request: &Request,
        limit: Option<Duration>,
    ) -> Result<Response, DaemonError> {
        let request =
            serde_json::to_vec(request).map_err(|e| DaemonError::Answer(e.to_string()))?;
        let call = CallRequest {
            request,
            timeout_ms: limit.map_or(0, |l| u64::try_from(l.as_millis()).unwrap_or(u64::MAX)),
        };
        let answer = self
            .runtime
            .block_on(self.client.call(call))
            .map_err(DaemonError::Status)?;
        match serde_json::from_slice(&answer.into_inner().response) {
            Ok(Response::Refused(refusal)) => Err(DaemonError::Refused(refusal)),
            Ok(response) => Ok(response),
            Err(error) => Err(DaemonError::Answer(error.to_string())),
        }
    }
}

/// Parses a tool's command line; an error (or help) is printed and becomes an exit code.
///
/// # Errors
/// The code to end with.
pub(crate) fn arguments<A: clap::Parser>(
    tool: &str,
    args: Vec<std::ffi::OsString>,
) -> Result<A, std::process::ExitCode> {
    let all = std::iter::once(tool.into()).chain(args);
    A::try_parse_from(all).map_err(|error| {
        // Nothing to be done about a closed standard output.
        let _ = error.print();
        let code = if error.use_stderr() {
            exit::USAGE
        } else {
            exit::OK
        };
        code.into()
    })
}
