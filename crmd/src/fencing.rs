//! Has the fencing daemon of this node carry out fencing whose intent is committed.

use crate::driver::{Event, Events};
use crmd_core::{
    command::FenceOrder,
    entry::Grade,
    ids::NodeName,
    input::{FenceOutcome, Input},
};
use proto::fencing::{FenceReply, FenceRequest, fencing_client::FencingClient};
use std::time::Duration;
use tokio::time::timeout;
use transport::local::Door;

/// Beyond the order's own time: for the daemon's answer to arrive.
const ANSWER_MARGIN: Duration = Duration::from_secs(2);

/// The fencing daemon of this node.
#[derive(Clone, Debug)]
pub(crate) struct Fencing {
    door: Door,
    own: NodeName,
    events: Events,
}

impl Fencing {
    /// Behind this door. `own` is named as the executing node when the daemon names none.
    pub(crate) fn new(door: Door, own: NodeName, events: Events) -> Self {
        Self { door, own, events }
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
        let channel = match self.door.connect().await {
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
