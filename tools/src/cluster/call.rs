//! Asking the node's own daemon.

use super::Failure;
use crmd_core::{
    request::{Request, Response},
    view::NodeView,
};
use proto::local::{CallRequest, StateRequest, local_client::LocalClient};
use std::time::Duration;
use tokio::time::timeout;
use tonic::{Code, transport::Channel};
use transport::{config::Config, local};

/// Beyond the time-out the daemon itself keeps.
const MARGIN: Duration = Duration::from_secs(5);

/// A client of the node daemon.
///
/// # Errors
/// It does not run, or this user may not.
pub(super) async fn crmd(config: &Config) -> Result<LocalClient<Channel>, local::LocalError> {
    let deadline_ms = config.timing.local_connect_timeout_ms;
    let channel = local::connect(&config.paths.crmd_socket(), deadline_ms).await?;
    Ok(LocalClient::new(channel))
}

/// Why a request had no effect.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// The daemon cannot be asked.
    #[error(transparent)]
    Local(#[from] local::LocalError),
    /// It ended while it was asked.
    #[error("crmd ended before it answered: {0}")]
    Gone(String),
    /// It said no.
    #[error("{0}")]
    Refused(String),
    /// It said nothing.
    #[error("no answer within {} s; it may still happen, see `systole cluster status`", .0.as_secs())]
    TimedOut(Duration),
    /// Versions of tool and daemon differ, or a defect.
    #[error("the answer is not understood ({0}): are tool and daemon of the same version?")]
    Answer(String),
}

/// Asks and waits until it has taken effect.
///
/// # Errors
/// It did not, or nobody knows.
pub(super) async fn call(
    config: &Config,
    request: &Request,
    limit: Duration,
) -> Result<Response, CallError> {
    let body = serde_json::to_vec(request).map_err(|e| CallError::Answer(e.to_string()))?;
    let wire = CallRequest {
        request: body,
        timeout_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
    };
    let mut client = crmd(config).await?;
    let answer = timeout(limit.saturating_add(MARGIN), client.call(wire))
        .await
        .map_err(|_| CallError::TimedOut(limit))?;
    let reply = answer.map_err(|status| match status.code() {
        Code::Unavailable | Code::Cancelled | Code::Unknown => {
            CallError::Gone(status.message().to_owned())
        }
        Code::DeadlineExceeded => CallError::TimedOut(limit),
        _ => CallError::Refused(status.message().to_owned()),
    })?;
    let response = serde_json::from_slice(&reply.into_inner().response)
        .map_err(|e| CallError::Answer(e.to_string()))?;
    match response {
        Response::Refused(refusal) => Err(CallError::Refused(refusal.text)),
        response => Ok(response),
    }
}

/// What the daemon shows of itself.
///
/// # Errors
/// It does not run or does not answer.
pub(super) async fn state(config: &Config) -> Result<NodeView, Failure> {
    let mut client = crmd(config).await?;
    let limit = Duration::from_millis(config.timing.local_connect_timeout_ms);
    let reply = timeout(limit, client.state(StateRequest {})).await?;
    Ok(serde_json::from_slice(&reply?.into_inner().state)?)
}
