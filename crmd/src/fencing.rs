//! Has the fencing daemon of this node carry out fencing whose intent is committed.

use crate::{
    driver::{Event, Events},
    machine::SimulatedFencing,
};
use crmd_core::{
    command::FenceOrder,
    entry::Grade,
    ids::NodeName,
    input::{FenceOutcome, Input},
};
use proto::fencing::{FenceReply, FenceRequest, fencing_client::FencingClient};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::time::timeout;

/// Beyond the order's own time: for the daemon's answer to arrive.
const ANSWER_MARGIN: Duration = Duration::from_secs(2);

/// The fencing daemon of this node.
#[derive(Clone, Debug)]
pub(crate) struct Fencing {
    socket: PathBuf,
    connect_timeout_ms: u64,
    own: NodeName,
    events: Events,
    simulated: Option<Arc<dyn SimulatedFencing>>,
}

impl Fencing {
    /// Behind this socket. `own` is named as the executing node when the daemon names none.
    pub(crate) fn new(
        socket: PathBuf,
        connect_timeout_ms: u64,
        own: NodeName,
        events: Events,
        simulated: Option<Arc<dyn SimulatedFencing>>,
    ) -> Self {
        Self {
            socket,
            connect_timeout_ms,
            own,
            events,
            simulated,
        }
    }

    /// Carries an order out; how it ended comes as an event, at the latest when its time is over.
    pub(crate) fn execute(&self, order: FenceOrder) {
        let this = self.clone();
        tokio::spawn(async move {
            let intent = order.intent.clone();
            let limit = Duration::from_millis(order.timeout_ms + order.delay_ms) + ANSWER_MARGIN;
            let outcome = match timeout(limit, this.ask(order)).await {
                Ok(outcome) => outcome,
                Err(_) => failed(format!(
                    "the fencing daemon did not answer within {} ms",
                    limit.as_millis()
                )),
            };
            // A closed queue: the daemon is ending.
            let _ = this
                .events
                .send(Event::Input(Input::FenceDone { intent, outcome }));
        });
    }

    async fn ask(&self, order: FenceOrder) -> FenceOutcome {
        if let Some(simulated) = &self.simulated {
            return simulated.execute(order).await;
        }
        let channel = match transport::local::connect(&self.socket, self.connect_timeout_ms).await {
            Ok(channel) => channel,
            Err(error) => return failed(format!("{error}; is stonithd running on {}?", self.own)),
        };
        let request = FenceRequest {
            intent: order.intent,
            target: order.target.to_string(),
            life_number: order.life_number,
            action: order.action,
            timeout_ms: order.timeout_ms,
            delay_ms: order.delay_ms,
            term: order.term,
            relayed: false,
            origin: order.origin,
            device: String::new(),
        };
        match FencingClient::new(channel).execute(request).await {
            Ok(reply) => self.outcome(reply.into_inner()),
            Err(status) => failed(status.message().to_owned()),
        }
    }

    fn outcome(&self, reply: FenceReply) -> FenceOutcome {
        if !reply.done {
            return failed(reply.reason);
        }
        let Some(grade) = grade(&reply.grade) else {
            return failed(format!(
                "the fencing daemon confirmed with the unknown grade '{}'",
                reply.grade
            ));
        };
        let by = match reply.by_node.as_str() {
            "" => self.own.clone(),
            node => node.into(),
        };
        FenceOutcome::Confirmed {
            grade,
            device: reply.device,
            by,
        }
    }
}

fn failed(reason: String) -> FenceOutcome {
    FenceOutcome::Failed { reason }
}

/// The wire's word for a grade.
fn grade(word: &str) -> Option<Grade> {
    Some(match word {
        "verified-off" => Grade::VerifiedOff,
        "new-life" => Grade::NewLife,
        "acknowledged" => Grade::Acknowledged,
        "acknowledged-trusted" => Grade::AcknowledgedTrusted,
        "watchdog" | "watchdog-elapsed" => Grade::WatchdogElapsed,
        "asked" => Grade::Asked,
        "human" => Grade::Human,
        _ => return None,
    })
}
