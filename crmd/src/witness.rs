//! What still answers on a host whose crmd went away: TCP connections to its crmd, its stonithd and
//! its supervisor, all at once, on every address (protocol.md, 3).

use crate::driver::{Event, Events};
use crmd_core::{
    entry::Ports,
    ids::NodeName,
    input::{HostFinding, Input},
};
use futures::future::join_all;
use std::{io::ErrorKind, time::Duration};
use tokio::{net::TcpStream, time::timeout};

/// Where a host may answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Targets {
    /// One for each link.
    pub(crate) addresses: Vec<String>,
    /// The daemons' ports there.
    pub(crate) ports: Ports,
}

/// What one port did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Accepted,
    Refused,
    Nothing,
}

/// Asks the host; the finding comes as an event after at most `deadline_ms`.
pub(crate) fn probe(events: Events, peer: NodeName, targets: Targets, deadline_ms: u64) {
    tokio::spawn(async move {
        let finding = find(&targets, Duration::from_millis(deadline_ms)).await;
        tracing::info!(%peer, ?finding, "asked the host what still answers there");
        // A closed queue: the daemon is ending.
        let _ = events.send(Event::Input(Input::HostProbed { peer, finding }));
    });
}

async fn find(targets: &Targets, deadline: Duration) -> HostFinding {
    let ask = |port| {
        join_all(
            targets
                .addresses
                .iter()
                .map(move |a| knock(a, port, deadline)),
        )
    };
    let ports = targets.ports;
    let (crmd, stonithd, witness) =
        tokio::join!(ask(ports.crmd), ask(ports.stonithd), ask(ports.witness));
    let all: Vec<Answer> = [stonithd, witness].concat();
    if crmd.contains(&Answer::Accepted) {
        HostFinding::DaemonBack
    } else if all.contains(&Answer::Accepted) {
        HostFinding::HostLives
    } else if !all.is_empty() && all.iter().chain(&crmd).all(|a| *a == Answer::Refused) {
        HostFinding::AllRefused
    } else {
        HostFinding::Silent
    }
}

async fn knock(address: &str, port: u16, deadline: Duration) -> Answer {
    match timeout(deadline, TcpStream::connect((address, port))).await {
        Ok(Ok(_)) => Answer::Accepted,
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => Answer::Refused,
        _ => Answer::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn targets(crmd: u16, stonithd: u16, witness: u16) -> Targets {
        Targets {
            addresses: vec!["127.0.0.1".to_owned()],
            ports: Ports {
                crmd,
                stonithd,
                witness,
                join: 1,
            },
        }
    }

    #[tokio::test]
    async fn names_what_answers() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap().port();
        let deadline = Duration::from_millis(500);
        let cases = [
            (targets(open, 1, 1), HostFinding::DaemonBack),
            (targets(1, open, 1), HostFinding::HostLives),
            (targets(1, 1, open), HostFinding::HostLives),
            (targets(1, 1, 1), HostFinding::AllRefused),
            (Targets::default(), HostFinding::Silent),
        ];
        for (targets, expected) in cases {
            assert_eq!(find(&targets, deadline).await, expected, "{targets:?}");
        }
    }
}
