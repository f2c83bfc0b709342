use super::*;
use std::{net::SocketAddr, time::Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Has one figure, or none as if the daemon ended.
#[derive(Clone)]
struct Figure(Option<&'static str>);

impl Scraped for Figure {
    async fn text(&self) -> Option<String> {
        self.0.map(str::to_owned)
    }
}

/// A server with two places and a third of a second for each.
async fn server(figure: Figure) -> SocketAddr {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = free.local_addr().unwrap();
    drop(free);
    let settings = Settings {
        listen,
        request_timeout_ms: 300,
        connections: 2,
    };
    tokio::spawn(serve(settings, figure));
    for _ in 0..200 {
        if TcpStream::connect(listen).await.is_ok() {
            break;
        }
        sleep(Duration::from_millis(5)).await;
    }
    listen
}

async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

const GET: &str = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn get_metrics_is_answered_and_nothing_else() {
    let address = server(Figure(Some("a 1\n"))).await;
    let answer = ask(address, GET).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(
        answer.contains("content-type: text/plain; version=0.0.4"),
        "{answer}"
    );
    assert!(answer.ends_with("\r\n\r\na 1\n"), "{answer}");
    let cases = [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "404"),
        ("DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "405"),
        ("nonsense\r\n\r\n", "400"),
    ];
    for (request, expected) in cases {
        let answer = ask(address, request).await;
        let code = answer.split(' ').nth(1);
        assert_eq!(code, Some(expected), "{request}: {answer}");
    }
}

#[tokio::test]
async fn a_daemon_that_ends_says_so() {
    let address = server(Figure(None)).await;
    let answer = ask(address, GET).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
}

#[tokio::test]
async fn who_says_nothing_is_cut_off_and_makes_room() {
    let address = server(Figure(Some("a 1\n"))).await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    silent[0].write_all(b"GET /met").await.unwrap();
    let before = Instant::now();
    let answer = timeout(Duration::from_secs(10), ask(address, GET)).await;
    assert!(answer.unwrap().contains("200 OK"));
    let waited = before.elapsed();
    assert!(
        waited >= Duration::from_millis(300),
        "there was no place: {waited:?}"
    );
    let mut rest = Vec::new();
    let ended = timeout(Duration::from_secs(5), silent[0].read_to_end(&mut rest));
    assert!(ended.await.is_ok(), "the silent one is cut off");
}

#[tokio::test]
async fn an_address_in_use_is_waited_for() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = Settings {
        listen: taken.local_addr().unwrap(),
        request_timeout_ms: 300,
        connections: 2,
    };
    let waiting = timeout(Duration::from_millis(100), listen(&settings)).await;
    assert!(waiting.is_err(), "it does not give up, and does not end");
}
