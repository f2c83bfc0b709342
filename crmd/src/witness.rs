//! What still answers on a host whose crmd went away: TCP connections to its crmd, its stonithd and
//! its supervisor, all at once, on every address (protocol.md, 3).

use crate::driver::{Event, Events};
use crmd_core::{
    entry::Ports,
    ids::NodeName,
    input::{HostFinding, Input},
};
use futures::future::join_all;
use std::{
    io::ErrorKind,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::AsyncReadExt,
    time::{sleep, timeout},
};
use transport::net::Network;

/// How long a connection must hold to be more than a full backlog of somebody who is dying.
const LISTEN: Duration = Duration::from_millis(15);

/// Between two looks at a host that seems to live.
const SECOND_LOOK: Duration = Duration::from_millis(60);

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
pub(crate) fn probe(
    network: Arc<dyn Network>,
    events: Events,
    peer: NodeName,
    targets: Targets,
    deadline_ms: u64,
) {
    tokio::spawn(async move {
        let finding = find(&*network, &targets, Duration::from_millis(deadline_ms)).await;
        tracing::info!(%peer, ?finding, "asked the host what still answers there");
        // A closed queue: the daemon is ending.
        let _ = events.send(Event::Input(Input::HostProbed { peer, finding }));
    });
}

/// Processes of a host that is being killed end one after the other, and a dying one's port still
/// accepts for a moment: a sign of life is believed when it is there at a second look.
async fn find(network: &dyn Network, targets: &Targets, deadline: Duration) -> HostFinding {
    let finding = look(network, targets, deadline).await;
    if !matches!(finding, HostFinding::DaemonBack | HostFinding::HostLives) {
        return finding;
    }
    sleep(SECOND_LOOK).await;
    look(network, targets, deadline).await
}

async fn look(network: &dyn Network, targets: &Targets, deadline: Duration) -> HostFinding {
    let ask = |port| {
        join_all(
            targets
                .addresses
                .iter()
                .map(move |a| knock(network, a, port, deadline)),
        )
    };
    let ports = targets.ports;
    let (crmd, stonithd, witness) =
        tokio::join!(ask(ports.crmd), ask(ports.stonithd), ask(ports.witness));
    let others = [stonithd, witness].concat();
    if crmd.contains(&Answer::Accepted) {
        HostFinding::DaemonBack
    } else if others.contains(&Answer::Accepted) {
        HostFinding::HostLives
    } else if !crmd.is_empty() && others.iter().chain(&crmd).all(|a| *a == Answer::Refused) {
        HostFinding::AllRefused
    } else {
        HostFinding::Silent
    }
}

/// The daemons wait for us to speak, the supervisor closes at once. A reset right after the connection
/// comes from the kernel: whoever listened is gone.
async fn knock(network: &dyn Network, address: &str, port: u16, deadline: Duration) -> Answer {
    let Ok(ip) = address.parse::<IpAddr>() else {
        return Answer::Nothing;
    };
    let reached = network.connect(SocketAddr::new(ip, port), None);
    let mut stream = match timeout(deadline, reached).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return told(&error),
        Err(_) => return Answer::Nothing,
    };
    match timeout(LISTEN, stream.read(&mut [0])).await {
        Ok(Err(error)) => told(&error),
        _ => Answer::Accepted,
    }
}

fn told(error: &std::io::Error) -> Answer {
    match error.kind() {
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => Answer::Refused,
        _ => Answer::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io, net::TcpListener, sync::Mutex};
    use transport::net::{Listener, Stream, kernel};

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
            assert_eq!(
                find(&*kernel(), &targets, deadline).await,
                expected,
                "{targets:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_supervisor_that_closes_at_once_lives() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || while listener.accept().is_ok() {});
        let finding = find(&*kernel(), &targets(1, 1, port), Duration::from_millis(500)).await;
        assert_eq!(finding, HostFinding::HostLives);
    }

    /// The kernel's, to a listener whose process is killed in the moment in which somebody is connected.
    #[derive(Debug)]
    struct ToOneThatDies {
        port: u16,
        listener: Mutex<Option<TcpListener>>,
    }

    #[tonic::async_trait]
    impl Network for ToOneThatDies {
        async fn connect(
            &self,
            address: SocketAddr,
            from: Option<IpAddr>,
        ) -> io::Result<Box<dyn Stream>> {
            let stream = kernel().connect(address, from).await;
            if address.port() == self.port {
                self.listener.lock().unwrap().take();
            }
            stream
        }

        fn listen(&self, address: SocketAddr) -> io::Result<Box<dyn Listener>> {
            kernel().listen(address)
        }
    }

    /// What a killed process leaves for a moment: the kernel accepts, then resets.
    #[tokio::test]
    async fn a_dying_listener_is_no_sign_of_life() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let network = ToOneThatDies {
            port,
            listener: Mutex::new(Some(listener)),
        };
        let finding = find(&network, &targets(port, 1, 1), Duration::from_secs(20)).await;
        assert!(network.listener.into_inner().unwrap().is_none());
        assert_eq!(finding, HostFinding::AllRefused);
    }
}
