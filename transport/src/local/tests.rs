use super::*;
use proto::local::{
    CallReply, CallRequest, Document, QueryRequest, StateReply, StateRequest, WatchRequest,
    local_client::LocalClient,
    local_server::{Local, LocalServer},
};
use std::time::Instant;
use tonic::{
    Request, Response,
    transport::{Channel, Server},
};

/// Answers a query with the caller.
struct Echo;

type Documents = Pin<Box<dyn tokio_stream::Stream<Item = Result<Document, Status>> + Send>>;

#[tonic::async_trait]
impl Local for Echo {
    type WatchStream = Documents;

    async fn query(&self, request: Request<QueryRequest>) -> Result<Response<Document>, Status> {
        let caller = caller(request.extensions())?;
        let xml = format!("{} {}", caller.uid, caller.pid.unwrap_or(0));
        Ok(Response::new(Document { xml }))
    }

    async fn call(&self, _: Request<CallRequest>) -> Result<Response<CallReply>, Status> {
        Err(Status::unimplemented("not in this test"))
    }

    async fn watch(&self, _: Request<WatchRequest>) -> Result<Response<Documents>, Status> {
        Err(Status::unimplemented("not in this test"))
    }

    async fn state(&self, _: Request<StateRequest>) -> Result<Response<StateReply>, Status> {
        Err(Status::unimplemented("not in this test"))
    }
}

fn serve(path: &Path) -> tokio::task::JoinHandle<()> {
    let listener = LocalListener::bind(path).unwrap();
    let server = Server::builder().add_service(LocalServer::new(Echo));
    tokio::spawn(async move { server.serve_with_incoming(listener).await.unwrap() })
}

async fn ask(channel: &Channel) -> Result<String, Status> {
    let mut client = LocalClient::new(channel.clone());
    let answer = client.query(QueryRequest::default()).await?;
    Ok(answer.into_inner().xml)
}

#[tokio::test]
async fn the_kernel_names_the_caller() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("crmd.sock");
    let _server = serve(&path);
    let channel = connect(&path, 1_000).await.unwrap();
    let expected = format!("{} {}", Uid::effective(), std::process::id());
    assert_eq!(ask(&channel).await.unwrap(), expected);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
}

#[tokio::test]
async fn a_stale_socket_is_replaced_anything_else_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("crmd.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let server = serve(&path);
    let error = LocalListener::bind(&path).unwrap_err();
    assert!(matches!(error, LocalError::InUse(_)), "{error}");
    server.abort();

    let file = dir.path().join("precious");
    std::fs::write(&file, "data").unwrap();
    let error = LocalListener::bind(&file).unwrap_err();
    assert!(matches!(error, LocalError::NotASocket(_)), "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), b"data");
}

#[tokio::test]
async fn a_daemon_that_is_not_there_is_told_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("crmd.sock");
    let start = Instant::now();
    let error = connect(&path, 5_000).await.unwrap_err().to_string();
    assert!(error.contains("crmd is not running"), "{error}");
    assert!(error.contains("systole cluster start"), "{error}");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let error = connect(&path, 5_000).await.unwrap_err();
    assert!(matches!(error, LocalError::NotRunning { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_channel_finds_the_restarted_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("crmd.sock");
    // A runtime of its own for the server: it ends with all its connections, as a process does.
    let first = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let place = path.clone();
    first.spawn(async move { serve(&place).await });
    while !path.exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let channel = connect(&path, 1_000).await.unwrap();
    ask(&channel).await.unwrap();
    first.shutdown_background();
    while std::os::unix::net::UnixStream::connect(&path).is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let _second = serve(&path);
    let mut answer = ask(&channel).await;
    for _ in 0..20 {
        if answer.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        answer = ask(&channel).await;
    }
    answer.unwrap();
}

#[test]
fn strangers_are_refused_and_told_who_may() {
    let own = Uid::effective().as_raw();
    let stranger = Caller {
        uid: own + 54_321,
        gid: 54_321,
        pid: None,
        in_group: false,
    };
    let refusal = authorise(&stranger).unwrap_err();
    assert_eq!(refusal.code(), tonic::Code::PermissionDenied);
    assert!(refusal.message().contains("haclient"), "{refusal}");
    for welcome in [
        Caller { uid: 0, ..stranger },
        Caller {
            uid: own,
            ..stranger
        },
        Caller {
            in_group: true,
            ..stranger
        },
    ] {
        authorise(&welcome).unwrap();
    }
}

/// The way of a stranger through the kernel, as root only: another uid in a child process.
#[test]
fn the_groups_of_users_are_known() {
    assert!(!in_group(54_321, 54_321));
    if let Some(group) = group_id() {
        assert!(in_group(54_321, group.as_raw()));
    }
}
