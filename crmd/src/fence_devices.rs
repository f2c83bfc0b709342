//! Stonith resources: what "running" means for them. The fencing daemon has every device of the
//! configuration at hand wherever it may be used; being started here means that this node watches it.
//! So a start and a monitor ask the fencing daemon whether the device works, and a file in the run
//! directory, which a reboot empties, remembers that it is ours to watch.

use crmd_core::{
    command::AgentAction,
    input::{AgentOutcome, ExecStatus},
};
use proto::fencing::{MonitorReply, MonitorRequest, fencing_client::FencingClient};
use std::{
    fs, io,
    path::PathBuf,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::time::{sleep, timeout};
use tonic::{Code, Status};
use transport::local::Door;

/// The class of these resources.
pub(crate) const CLASS: &str = "stonith";

/// OCF exit codes.
const OK: i32 = 0;
const ERROR: i32 = 1;
const UNIMPLEMENTED: i32 = 3;
const NOT_RUNNING: i32 = 7;

/// Within this time the fencing daemon has read a new configuration, even on a busy machine.
const READ_WITHIN: Duration = Duration::from_secs(2);
const ASK_AGAIN: Duration = Duration::from_millis(10);

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct FenceDevices {
    door: Door,
    watched: PathBuf,
}

impl FenceDevices {
    /// Asks the fencing daemon behind `door`; remembers in `watched`, a directory that a reboot empties.
    pub(crate) fn new(door: Door, watched: PathBuf) -> Self {
        Self { door, watched }
    }

    /// Carries out an action of a stonith resource, within its time-out.
    pub(crate) async fn run(&self, action: &AgentAction) -> AgentOutcome {
        let started_wall_s = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_secs() as i64);
        let before = Instant::now();
        let limit = match action.timeout_ms {
            0 => Duration::MAX,
            ms => Duration::from_millis(ms),
        };
        let (status, rc, reason) = match timeout(limit, self.act(action)).await {
            Ok(Ok(rc)) => (ExecStatus::Done, rc, String::new()),
            Ok(Err(reason)) => (ExecStatus::Done, ERROR, reason),
            Err(_) => (
                ExecStatus::TimedOut,
                ERROR,
                format!("the device did not answer within {} ms", action.timeout_ms),
            ),
        };
        AgentOutcome {
            rc,
            status,
            reason,
            started_wall_s,
            exec_ms: before.elapsed().as_millis() as u64,
            queue_ms: 0,
        }
    }

    async fn act(&self, action: &AgentAction) -> Result<i32, String> {
        let file = self.watched.join(action.resource.replace('/', "_"));
        let told = |e: io::Error| format!("{}: {e}", file.display());
        match action.operation.as_str() {
            "start" => {
                self.works(action).await?;
                fs::create_dir_all(&self.watched).map_err(told)?;
                fs::write(&file, b"").map_err(told)?;
                Ok(OK)
            }
            "stop" => match fs::remove_file(&file) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => Err(told(e)),
                _ => Ok(OK),
            },
            "monitor" if !file.exists() => Ok(NOT_RUNNING),
            "monitor" if action.interval_ms == 0 => Ok(OK),
            "monitor" => self.works(action).await.map(|()| OK),
            _ => Ok(UNIMPLEMENTED),
        }
    }

    async fn works(&self, action: &AgentAction) -> Result<(), String> {
        let answer = once_known(|| self.ask(action)).await;
        let reply = answer.map_err(|status| status.message().to_owned())?;
        match reply.ok {
            true => Ok(()),
            false => Err(reply.reason),
        }
    }

    async fn ask(&self, action: &AgentAction) -> Result<MonitorReply, Status> {
        let connected = self.door.connect().await;
        let channel = connected.map_err(|e| Status::unavailable(e.to_string()))?;
        // A clone's instance is named with its number; the device is not.
        let device = action.resource.split(':').next().unwrap_or_default();
        let request = MonitorRequest {
            device: device.to_owned(),
            timeout_ms: action.timeout_ms,
        };
        let reply = FencingClient::new(channel).monitor(request).await?;
        Ok(reply.into_inner())
    }
}

/// Asks until the fencing daemon knows the device: it reads the configuration a moment after this daemon has
/// decided by it.
async fn once_known<T, F>(mut ask: impl FnMut() -> F) -> Result<T, Status>
where
    F: Future<Output = Result<T, Status>>,
{
    let deadline = Instant::now() + READ_WITHIN;
    loop {
        match ask().await {
            Err(status) if status.code() == Code::NotFound && Instant::now() < deadline => {
                sleep(ASK_AGAIN).await;
            }
            answer => return answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{future::ready, path::Path};

    fn action(operation: &str) -> AgentAction {
        AgentAction {
            resource: "power".into(),
            class: CLASS.into(),
            provider: None,
            kind: "lab".into(),
            operation: operation.into(),
            interval_ms: 0,
            timeout_ms: 2_000,
            parameters: Default::default(),
        }
    }

    fn nobody(dir: &Path) -> Door {
        Door::new(transport::local::kernel(), dir.join("none.sock"), 500)
    }

    #[tokio::test]
    async fn without_its_daemon_a_device_does_not_start_but_stops() {
        let dir = tempfile::tempdir().unwrap();
        let devices = FenceDevices::new(nobody(dir.path()), dir.path().join("w"));
        assert_eq!(devices.run(&action("monitor")).await.rc, NOT_RUNNING);
        let start = devices.run(&action("start")).await;
        assert_eq!(start.rc, ERROR);
        assert!(!start.reason.is_empty());
        assert_eq!(devices.run(&action("stop")).await.rc, OK);
    }

    #[tokio::test]
    async fn a_probe_finds_what_was_started() {
        let dir = tempfile::tempdir().unwrap();
        let devices = FenceDevices::new(nobody(dir.path()), dir.path().to_owned());
        fs::write(dir.path().join("power"), b"").unwrap();
        assert_eq!(devices.run(&action("monitor")).await.rc, OK);
        let mut watch = action("monitor");
        watch.interval_ms = 10_000;
        assert_eq!(devices.run(&watch).await.rc, ERROR);
        assert_eq!(devices.run(&action("stop")).await.rc, OK);
        assert_eq!(devices.run(&action("monitor")).await.rc, NOT_RUNNING);
    }

    #[tokio::test]
    async fn a_device_that_is_read_of_a_moment_later_is_asked_for_again() {
        let mut asked = 0;
        let answer = once_known(|| {
            asked += 1;
            ready(match asked {
                3 => Ok("works"),
                _ => Err(Status::not_found("no fence device 'power'")),
            })
        });
        assert_eq!(answer.await.unwrap(), "works");
        assert_eq!(asked, 3);
    }

    #[tokio::test]
    async fn what_the_daemon_says_of_a_device_it_knows_is_final() {
        let mut asked = 0;
        let answer = once_known(|| {
            asked += 1;
            ready(Err::<(), _>(Status::unavailable("it is ending")))
        });
        assert_eq!(answer.await.unwrap_err().message(), "it is ending");
        assert_eq!(asked, 1);
    }
}
