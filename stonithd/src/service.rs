//! What tools, the local crmd and other fencing daemons call.

use crate::{
    driver::{self, Event, Events},
    machine::Plugin,
};
use crmd_core::request::{RefusalKind, Request as CoreRequest, Response as CoreResponse};
use proto::{
    fencing::{
        AskRequest, CanRequest, DevicesReply, DevicesRequest, FenceReply, FenceRequest,
        HistoryReply, HistoryRequest, MonitorReply, MonitorRequest, WitnessReply, WitnessRequest,
        fencing_server::Fencing,
    },
    local::{CallRequest, local_client::LocalClient},
};
use std::{sync::Arc, time::Duration};
use stonithd_core::{Reply, Request as CoreFenceRequest};
use tokio::sync::oneshot;
use tonic::{Extensions, Request, Response, Status};
use transport::{life::HostLife, local::Door};

/// Time-out of what a person asks for without naming one.
const DEFAULT_ASK_TIMEOUT_MS: u64 = 120_000;

/// For crmd's answer to arrive after the operation's own time.
const ANSWER_MARGIN_MS: u64 = 2_000;

/// Time-out of a monitor that names none.
const DEFAULT_MONITOR_TIMEOUT_MS: u64 = 20_000;

/// Who is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Callers {
    /// Programs of this node, over the Unix socket.
    Local,
    /// Members, over mutual TLS.
    Peers,
}

/// The service, once for each kind of callers.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) callers: Callers,
    pub(crate) events: Events,
    pub(crate) plugin: Arc<dyn Plugin>,
    pub(crate) node: String,
    pub(crate) life: HostLife,
    /// The way to crmd of this node.
    pub(crate) crmd: Door,
}

impl Service {
    /// Local callers by the kernel's word, members by their certificate.
    fn authorise(&self, extensions: &Extensions) -> Result<(), Status> {
        match self.callers {
            Callers::Local => transport::local::caller(extensions).map(drop),
            Callers::Peers => transport::tls::peer(extensions).map(drop),
        }
    }

    async fn get<T>(&self, make: impl FnOnce(oneshot::Sender<T>) -> Event) -> Result<T, Status> {
        let (reply, answer) = oneshot::channel();
        let ending = || Status::unavailable("stonithd is ending");
        self.events.send(make(reply)).map_err(|_| ending())?;
        answer.await.map_err(|_| ending())
    }

    async fn through_crmd(&self, ask: AskRequest, caller: String) -> Result<FenceReply, Status> {
        let timeout_ms = match ask.timeout_ms {
            0 => DEFAULT_ASK_TIMEOUT_MS,
            some => some,
        };
        let request = core_request(&ask, timeout_ms, caller)?;
        let request = serde_json::to_vec(&request).map_err(|e| Status::internal(e.to_string()))?;
        let channel = self.crmd.connect().await.map_err(|e| {
            Status::unavailable(format!("{e}; fencing is decided together with crmd"))
        })?;
        let call = CallRequest {
            request,
            timeout_ms: timeout_ms + ANSWER_MARGIN_MS,
        };
        let limit = Duration::from_millis(call.timeout_ms + ANSWER_MARGIN_MS);
        let mut client = LocalClient::new(channel);
        let answer = tokio::time::timeout(limit, client.call(call))
            .await
            .map_err(|_| Status::deadline_exceeded("crmd did not answer in time"))??;
        let response = serde_json::from_slice(&answer.into_inner().response)
            .map_err(|e| Status::internal(format!("crmd's answer: {e}")))?;
        outcome(response)
    }
}

fn core_request(ask: &AskRequest, timeout_ms: u64, caller: String) -> Result<CoreRequest, Status> {
    let target = ask.target.as_str().into();
    Ok(match ask.action.as_str() {
        "confirm" => CoreRequest::ConfirmDown {
            target,
            origin: caller,
        },
        "reboot" | "off" | "on" => CoreRequest::Fence {
            target,
            action: ask.action.clone(),
            timeout_ms,
            origin: caller,
        },
        other => {
            return Err(Status::invalid_argument(format!(
                "'{other}' is not one of reboot, off, on, confirm"
            )));
        }
    })
}

fn outcome(response: CoreResponse) -> Result<FenceReply, Status> {
    Ok(match response {
        CoreResponse::Done => FenceReply {
            done: true,
            ..FenceReply::default()
        },
        CoreResponse::Fenced { grade, device, by } => FenceReply {
            done: true,
            grade: word(grade)?,
            device,
            by_node: by.map(|n| n.to_string()).unwrap_or_default(),
            ..FenceReply::default()
        },
        CoreResponse::Refused(refusal) => match refusal.kind {
            RefusalKind::NotFound => return Err(Status::not_found(refusal.text)),
            RefusalKind::TimedOut => return Err(Status::deadline_exceeded(refusal.text)),
            RefusalKind::NoQuorum => return Err(Status::failed_precondition(refusal.text)),
            _ => FenceReply {
                reason: refusal.text,
                ..FenceReply::default()
            },
        },
        other => {
            return Err(Status::internal(format!(
                "crmd answered something else: {other:?}"
            )));
        }
    })
}

/// A grade's word on the wire.
fn word(grade: crmd_core::entry::Grade) -> Result<String, Status> {
    match serde_json::to_value(grade) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        _ => Err(Status::internal("a grade without a word")),
    }
}

fn to_wire(reply: Reply) -> FenceReply {
    let (done, grade, reason) = match reply.result {
        Ok(grade) => (true, grade.name().to_owned(), String::new()),
        Err(reason) => (false, String::new(), reason),
    };
    FenceReply {
        done,
        grade,
        device: reply.device,
        by_node: reply.by_node,
        reason,
        elapsed_ms: reply.elapsed_ms,
        on_failed: false,
    }
}

#[tonic::async_trait]
impl Fencing for Service {
    async fn execute(
        &self,
        request: Request<FenceRequest>,
    ) -> Result<Response<FenceReply>, Status> {
        self.authorise(request.extensions())?;
        let order = request.into_inner();
        let request = CoreFenceRequest {
            intent: order.intent,
            target: order.target,
            life_number: order.life_number,
            action: order.action,
            timeout_ms: order.timeout_ms,
            delay_ms: order.delay_ms,
            term: order.term,
            // What another node hands to us is not handed on, whatever it says.
            relayed: order.relayed || self.callers == Callers::Peers,
            device: order.device,
            origin: order.origin,
            random: rand::random(),
        };
        let reply = self.get(|reply| Event::Request { request, reply }).await?;
        Ok(Response::new(to_wire(reply)))
    }

    async fn ask(&self, request: Request<AskRequest>) -> Result<Response<FenceReply>, Status> {
        if self.callers == Callers::Peers {
            return Err(Status::permission_denied("ask your own node's stonithd"));
        }
        let who = transport::local::caller(request.extensions())?;
        let ask = request.into_inner();
        let reason = match ask.reason.as_str() {
            "" => String::new(),
            reason => format!(": {reason}"),
        };
        let caller = format!("{}@{} (user {}){reason}", ask.client, self.node, who.uid);
        self.through_crmd(ask, caller).await.map(Response::new)
    }

    async fn devices(
        &self,
        request: Request<DevicesRequest>,
    ) -> Result<Response<DevicesReply>, Status> {
        self.authorise(request.extensions())?;
        let devices = self.get(Event::Devices).await?;
        Ok(Response::new(DevicesReply { devices }))
    }

    async fn can(&self, request: Request<CanRequest>) -> Result<Response<DevicesReply>, Status> {
        self.authorise(request.extensions())?;
        let target = request.into_inner().target;
        let devices = self.get(|reply| Event::Can { target, reply }).await?;
        Ok(Response::new(DevicesReply { devices }))
    }

    async fn history(
        &self,
        request: Request<HistoryRequest>,
    ) -> Result<Response<HistoryReply>, Status> {
        self.authorise(request.extensions())?;
        let target = request.into_inner().target;
        let mut entries = self.get(Event::History).await?;
        entries.retain(|e| target.is_empty() || e.target == target);
        Ok(Response::new(HistoryReply { entries }))
    }

    async fn witness(
        &self,
        request: Request<WitnessRequest>,
    ) -> Result<Response<WitnessReply>, Status> {
        self.authorise(request.extensions())?;
        Ok(Response::new(WitnessReply {
            life_number: self.life.number,
            life_id: self.life.id.clone(),
        }))
    }

    async fn monitor(
        &self,
        request: Request<MonitorRequest>,
    ) -> Result<Response<MonitorReply>, Status> {
        self.authorise(request.extensions())?;
        let MonitorRequest { device, timeout_ms } = request.into_inner();
        let timeout_ms = match timeout_ms {
            0 => DEFAULT_MONITOR_TIMEOUT_MS,
            some => some,
        };
        let named = device.clone();
        let call = self
            .get(|reply| Event::MonitorCall {
                device,
                timeout_ms,
                reply,
            })
            .await?
            .ok_or_else(|| {
                Status::not_found(format!("{} has no fence device '{named}'", self.node))
            })?;
        let result = driver::monitor(&*self.plugin, &call).await;
        Ok(Response::new(MonitorReply {
            ok: result.is_ok(),
            reason: result.err().unwrap_or_default(),
        }))
    }
}
