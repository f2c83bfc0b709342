use super::{connect::ConnectError, *};
use crate::{
    config::Timing,
    identity::{Authority, Identity, KeyRequest, tests::identity},
};
use proto::peer::{
    Ack, Envelope, Hello,
    peer_client::PeerClient,
    peer_server::{Peer, PeerServer},
};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming, transport::Server};

/// Greets with the name it read in the caller's certificate.
struct Echo;

type Answers<T> = std::pin::Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Peer for Echo {
    type BeatsStream = Answers<Envelope>;
    type DeliverStream = Answers<Ack>;

    async fn greet(&self, request: Request<Hello>) -> Result<Response<Hello>, Status> {
        let peer = peer(request.extensions())?;
        Ok(Response::new(Hello {
            node: peer.node.clone(),
            cluster_id: peer.cluster_id.clone(),
            ..Hello::default()
        }))
    }

    async fn beats(
        &self,
        request: Request<Streaming<Envelope>>,
    ) -> Result<Response<Self::BeatsStream>, Status> {
        Ok(Response::new(Box::pin(request.into_inner())))
    }

    async fn deliver(
        &self,
        _: Request<Streaming<Envelope>>,
    ) -> Result<Response<Self::DeliverStream>, Status> {
        Err(Status::unimplemented("not in this test"))
    }
}

fn serve(identity: &Identity, timing: &Timing) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let any = ["127.0.0.1:0".parse().unwrap()];
    let listener = PeerListener::bind(&any, identity, timing).unwrap();
    let address = listener.addresses()[0];
    let server = Server::builder().add_service(PeerServer::new(Echo));
    let task = tokio::spawn(async move {
        server.serve_with_incoming(listener).await.unwrap();
    });
    (address, task)
}

async fn connect(
    identity: &Identity,
    address: SocketAddr,
    node: &str,
) -> Result<Connection, ConnectError> {
    let timing = Timing::default();
    let connector = Connector::new(identity, &timing).unwrap();
    let target = Target {
        address,
        node,
        from: None,
    };
    connector.connect(&target).await
}

/// Collects what would be logged in the current thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn start() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let sink = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || sink.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    async fn wait_for(&self, part: &str) -> String {
        for _ in 0..200 {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            if text.contains(part) {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        panic!("'{part}' was never logged: {text}");
    }
}

impl std::io::Write for Log {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn members_talk_and_know_each_other() {
    let ca = Authority::create("prod", "c1").unwrap();
    let (address, _server) = serve(&identity(&ca, "n2"), &Timing::default());
    let connection = connect(&identity(&ca, "n1"), address, "n2").await.unwrap();
    assert_eq!(connection.peer.node, "n2");
    let mut client = PeerClient::new(connection.channel.clone());
    let answer = client.greet(Hello::default()).await.unwrap().into_inner();
    assert_eq!(
        (answer.node.as_str(), answer.cluster_id.as_str()),
        ("n1", "c1")
    );
    assert_eq!(connection.ending(), Ending::Open);
}

#[tokio::test]
async fn another_clusters_member_is_refused_and_both_sides_say_why() {
    let (log, _guard) = Log::start();
    let ours = Authority::create("prod", "c1").unwrap();
    let theirs = Authority::create("prod", "c1").unwrap();
    let (address, _server) = serve(&identity(&ours, "n2"), &Timing::default());
    let error = connect(&identity(&theirs, "n1"), address, "n2")
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectError::Tls { .. }), "{error}");
    assert!(
        error.to_string().contains("signed by another cluster's CA"),
        "{error}"
    );
    let logged = log.wait_for("refused our certificate").await;
    assert!(
        logged.contains("WARN") && logged.contains("connection from 127.0.0.1:"),
        "{logged}"
    );
}

#[tokio::test]
async fn a_forger_who_trusts_us_is_refused_and_told() {
    let (log, _guard) = Log::start();
    let ours = Authority::create("prod", "c1").unwrap();
    let theirs = Authority::create("prod", "c1").unwrap();
    let (address, _server) = serve(&identity(&ours, "n2"), &Timing::default());
    let mut forger = identity(&theirs, "n1");
    let connector = Connector::new(&forger, &Timing::default()).unwrap();
    forger.ca = identity(&ours, "n1").ca;
    let connector = connector.showing(forger);
    let target = Target {
        address,
        node: "n2",
        from: None,
    };
    let error = connector.connect(&target).await.unwrap_err();
    assert!(
        error.to_string().contains("a CA it does not know"),
        "{error}"
    );
    log.wait_for("refused: certificate signed by another cluster's CA")
        .await;
}

#[tokio::test]
async fn a_certificate_for_another_cluster_of_the_same_authority_is_refused() {
    let (log, _guard) = Log::start();
    let ca = Authority::create("prod", "c1").unwrap();
    let dir = tempfile::tempdir().unwrap();
    ca.save(dir.path()).unwrap();
    let mut other = identity(&ca, "n1");
    other.named.cluster_id = "c2".into();
    let (address, _server) = serve(&identity(&ca, "n2"), &Timing::default());
    let error = connect(&other, address, "n2")
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("c1") && error.contains("c2"), "{error}");
    log.wait_for("ours is not for its cluster").await;
}

#[tokio::test]
async fn an_expired_certificate_is_refused_and_told() {
    let (log, _guard) = Log::start();
    let ca = Authority::create("prod", "c1").unwrap();
    let request = KeyRequest::new("n1").unwrap();
    let certificate = ca.sign_until(&request.csr_pem, "n1", (2001, 1, 1)).unwrap();
    let expired = request.identity(&certificate, ca.certificate_pem());
    assert!(expired.unwrap_err().to_string().contains("expired"));
    let (address, _server) = serve(&identity(&ca, "n2"), &Timing::default());
    let good = identity(&ca, "n1");
    let connector = Connector::new(&good, &Timing::default()).unwrap();
    let connector = connector.showing(Identity::unchecked(&request, &certificate, &good));
    let target = Target {
        address,
        node: "n2",
        from: None,
    };
    let error = connector.connect(&target).await.unwrap_err();
    assert!(error.to_string().contains("ours has expired"), "{error}");
    log.wait_for("refused: certificate expired").await;
}

#[tokio::test]
async fn the_wrong_node_is_noticed_on_both_sides() {
    let (log, _guard) = Log::start();
    let ca = Authority::create("prod", "c1").unwrap();
    let (address, _server) = serve(&identity(&ca, "n3"), &Timing::default());
    let error = connect(&identity(&ca, "n1"), address, "n2")
        .await
        .unwrap_err();
    let expected = ConnectError::Identity {
        address,
        expected: "n2".into(),
        got: "n3".into(),
    };
    assert_eq!(error, expected);
    log.wait_for("expected another node").await;
}

#[tokio::test]
async fn no_certificate_is_refused_and_told() {
    let (log, _guard) = Log::start();
    let ca = Authority::create("prod", "c1").unwrap();
    let timing = Timing::default();
    let (address, _server) = serve(&identity(&ca, "n2"), &timing);
    let error = connect::pinned_channel(address, &ca.fingerprint(), &timing)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("wants a certificate"), "{error}");
    log.wait_for("it shows no certificate").await;
}

#[tokio::test]
async fn the_pin_of_a_joining_node_is_checked() {
    let ca = Authority::create("prod", "c1").unwrap();
    let timing = Timing::default();
    let any = ["127.0.0.1:0".parse().unwrap()];
    let listener = PeerListener::bind_join(&any, &identity(&ca, "n2"), &timing).unwrap();
    let address = listener.addresses()[0];
    let server = Server::builder().add_service(PeerServer::new(Echo));
    let _server = tokio::spawn(server.serve_with_incoming(listener));
    connect::pinned_channel(address, &ca.fingerprint(), &timing)
        .await
        .unwrap();
    let other = Authority::create("prod", "c1").unwrap();
    let error = connect::pinned_channel(address, &other.fingerprint(), &timing)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("another cluster's CA"),
        "{error}"
    );
}

#[tokio::test]
async fn plain_text_is_refused_in_words_and_a_probe_is_not_logged() {
    let (log, _guard) = Log::start();
    let ca = Authority::create("prod", "c1").unwrap();
    let (address, _server) = serve(&identity(&ca, "n2"), &Timing::default());
    let deadline = Duration::from_secs(1);
    assert_eq!(probe_tcp(address, None, deadline).await, Probe::Open);
    let mut plain = tokio::net::TcpStream::connect(address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut plain, b"GET / HTTP/1.0\r\n\r\n")
        .await
        .unwrap();
    let logged = log.wait_for("does not speak TLS").await;
    assert_eq!(logged.matches("WARN").count(), 1, "{logged}");
}

#[tokio::test]
async fn a_silent_caller_does_not_stay() {
    let (log, _guard) = Log::start();
    let ca = Authority::create("prod", "c1").unwrap();
    let timing = Timing {
        handshake_timeout_ms: 50,
        ..Timing::default()
    };
    let (address, _server) = serve(&identity(&ca, "n2"), &timing);
    let _silent = tokio::net::TcpStream::connect(address).await.unwrap();
    log.wait_for("no TLS handshake within 50 ms").await;
}

#[tokio::test]
async fn refusal_and_silence_are_told_apart() {
    let ca = Authority::create("prod", "c1").unwrap();
    let n1 = identity(&ca, "n1");
    let free = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let error = connect(&n1, free, "n2").await.unwrap_err();
    assert_eq!(error, ConnectError::Refused { address: free });
    let deadline = Duration::from_millis(100);
    assert_eq!(probe_tcp(free, None, deadline).await, Probe::Refused);

    // Takes the connection and says nothing.
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = mute.local_addr().unwrap();
    let timing = Timing {
        connect_timeout_ms: 100,
        ..Timing::default()
    };
    let connector = Connector::new(&n1, &timing).unwrap();
    let target = Target {
        address,
        node: "n2",
        from: Some("127.0.0.1".parse().unwrap()),
    };
    let error = connector.connect(&target).await.unwrap_err();
    assert!(matches!(error, ConnectError::Silent { .. }), "{error}");

    // Takes the connection and closes it, as a supervisor does.
    let closing = tokio::spawn(async move { drop(mute.accept().await) });
    let error = connector.connect(&target).await;
    closing.await.unwrap();
    // The one waiting from before was accepted first: the second is reset or closed.
    let error = error.unwrap_err();
    assert!(!matches!(error, ConnectError::Tls { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_peers_end_is_news_at_once_on_both_sides() {
    let ca = Authority::create("prod", "c1").unwrap();
    let any = ["127.0.0.1:0".parse().unwrap()];
    let mut listener = PeerListener::bind(&any, &identity(&ca, "n2"), &Timing::default()).unwrap();
    let address = listener.addresses()[0];
    // A runtime of its own for the server, so that all of it can end at a stroke.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (info, mut infos) = tokio::sync::mpsc::channel(1);
    let incoming = async_stream_of(
        move |cx| std::pin::Pin::new(&mut listener).poll_next(cx),
        info,
    );
    let server = Server::builder().add_service(PeerServer::new(Echo));
    runtime.spawn(server.serve_with_incoming(incoming));

    let n1 = identity(&ca, "n1");
    let mut connection = connect(&n1, address, "n2").await.unwrap();
    let seen = infos.recv().await.unwrap();
    assert_eq!(*seen.ending.borrow(), Ending::Open);
    let start = Instant::now();
    runtime.shutdown_background();
    let ending = connection.ended().await;
    assert!(matches!(ending, Ending::ByPeer(_)), "{ending:?}");
    assert!(
        start.elapsed() < Duration::from_millis(500),
        "{:?}",
        start.elapsed()
    );
    let mut client = PeerClient::new(connection.channel.clone());
    client.greet(Hello::default()).await.unwrap_err();
}

#[tokio::test]
async fn the_server_sees_the_clients_end() {
    let ca = Authority::create("prod", "c1").unwrap();
    let any = ["127.0.0.1:0".parse().unwrap()];
    let mut listener = PeerListener::bind(&any, &identity(&ca, "n2"), &Timing::default()).unwrap();
    let address = listener.addresses()[0];
    let (info, mut infos) = tokio::sync::mpsc::channel(1);
    let incoming = async_stream_of(
        move |cx| std::pin::Pin::new(&mut listener).poll_next(cx),
        info,
    );
    let server = Server::builder().add_service(PeerServer::new(Echo));
    let _server = tokio::spawn(server.serve_with_incoming(incoming));
    let connection = connect(&identity(&ca, "n1"), address, "n2").await.unwrap();
    let mut seen = infos.recv().await.unwrap();
    let mut other = connection.clone();
    drop(connection.channel);
    other.channel = tonic::transport::Endpoint::from_static("http://nowhere").connect_lazy();
    let ending = seen
        .ending
        .wait_for(|e| *e != Ending::Open)
        .await
        .unwrap()
        .clone();
    assert!(matches!(ending, Ending::ByPeer(_)), "{ending:?}");
    assert_eq!(other.ended().await, Ending::Here);
}

/// A stream that tells of every connection it hands on.
fn async_stream_of(
    mut next: impl FnMut(
        &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<std::io::Result<PeerStream>>>,
    info: tokio::sync::mpsc::Sender<PeerInfo>,
) -> impl Stream<Item = std::io::Result<PeerStream>> {
    use tonic::transport::server::Connected;
    struct Told<F>(F);
    impl<F> Stream for Told<F>
    where
        F: FnMut(
                &mut std::task::Context<'_>,
            ) -> std::task::Poll<Option<std::io::Result<PeerStream>>>
            + Unpin,
    {
        type Item = std::io::Result<PeerStream>;
        fn poll_next(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Self::Item>> {
            (self.0)(cx)
        }
    }
    Told(Box::new(move |cx: &mut std::task::Context<'_>| {
        let polled = next(cx);
        if let std::task::Poll::Ready(Some(Ok(stream))) = &polled {
            info.try_send(stream.connect_info()).unwrap();
        }
        polled
    }))
}
