//! What tools and stonithd of this node call, over the Unix socket. Who may is decided by the kernel's
//! word on the caller, before anything is read.

use crate::driver::{Event, Events, Published, Snapshot};
use cib::Element;
use crmd_core::{
    input::ClientId,
    request::{Refusal, RefusalKind, Request as CoreRequest, Response as CoreResponse},
    view::NodeView,
};
use futures::{Stream, StreamExt};
use proto::local::{
    CallReply, CallRequest, Document, QueryRequest, StateReply, StateRequest, WatchRequest,
    local_server::{Local, LocalServer},
};
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::oneshot, time::timeout};
use tokio_stream::wrappers::WatchStream;
use tonic::{Request, Response, Status, service::Routes};

/// Largest request: a whole configuration.
const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;

/// From one document told to a watcher to the next: what changed in between comes together. Whoever watches reads
/// all of a document each time, and a thousand changes in a second need not be read one by one.
const DOCUMENTS_APART: Duration = Duration::from_millis(20);

/// The way of a request to the core and back. Clones share the count of callers.
#[derive(Clone, Debug)]
pub(crate) struct Calls {
    events: Events,
    limit: Duration,
    clients: Arc<AtomicU64>,
}

/// Tells the core when its caller stops waiting, whatever the reason.
struct Waiting {
    client: ClientId,
    events: Events,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let client = self.client;
        // A closed queue: the daemon is ending.
        let _ = self.events.send(Event::ClientGone { client });
    }
}

impl Calls {
    /// `limit` bounds a call whose caller names no time-out.
    pub(crate) fn new(events: Events, limit: Duration) -> Self {
        Self {
            events,
            limit,
            clients: Arc::default(),
        }
    }

    /// Asks the core and waits for its answer.
    ///
    /// # Errors
    /// The daemon is ending.
    pub(crate) async fn call(
        &self,
        request: CoreRequest,
        limit: Option<Duration>,
    ) -> Result<CoreResponse, Status> {
        let limit = limit.unwrap_or(self.limit);
        let client = self.clients.fetch_add(1, Ordering::Relaxed);
        let (reply, answer) = oneshot::channel();
        self.send(Event::Client {
            client,
            request,
            reply,
        })?;
        let _waiting = Waiting {
            client,
            events: self.events.clone(),
        };
        match timeout(limit, answer).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(_)) => Err(ending()),
            Err(_) => Ok(too_late(limit)),
        }
    }

    fn send(&self, event: Event) -> Result<(), Status> {
        self.events.send(event).map_err(|_| ending())
    }
}

/// The service.
pub(crate) fn routes(client: Client) -> Routes {
    Routes::new(
        LocalServer::new(client)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES),
    )
}

/// What a tool of this node can ask; clones are the same.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) calls: Calls,
    pub(crate) published: Published,
}

impl Client {
    /// Asks for something and waits for the answer, at most for `limit`.
    ///
    /// # Errors
    /// The daemon has ended, or is ending.
    pub async fn call(
        &self,
        request: CoreRequest,
        limit: Duration,
    ) -> Result<CoreResponse, Status> {
        self.calls.call(request, Some(limit)).await
    }

    /// What the node shows of itself.
    ///
    /// # Errors
    /// The daemon has ended, or is ending.
    pub async fn view(&self) -> Result<NodeView, Status> {
        let (reply, answer) = oneshot::channel();
        self.calls.send(Event::View { reply })?;
        answer.await.map_err(|_| ending())
    }

    /// Configuration and status as they are known here.
    #[must_use]
    pub fn document(&self) -> Element {
        self.published.borrow().document.clone()
    }
}

fn ending() -> Status {
    Status::unavailable("the daemon is ending")
}

fn too_late(limit: Duration) -> CoreResponse {
    CoreResponse::Refused(Refusal {
        kind: RefusalKind::TimedOut,
        text: format!(
            "no answer within {} ms; what was asked for may still happen",
            limit.as_millis()
        ),
    })
}

fn document(snapshot: &Snapshot, xpath: &str) -> Result<Document, Status> {
    if xpath.is_empty() {
        let xml = snapshot.document.to_xml();
        return Ok(Document { xml });
    }
    let found = cib::xpath::find(&snapshot.document, xpath)
        .map_err(|e| Status::invalid_argument(e.to_string()))?;
    match found.as_slice() {
        [] => Err(Status::not_found(format!("nothing matches {xpath}"))),
        [one] => Ok(Document { xml: one.to_xml() }),
        several => {
            let all = several
                .iter()
                .fold(cib::Element::new("xpath-query"), |all, e| {
                    all.with_child((*e).clone())
                });
            Ok(Document { xml: all.to_xml() })
        }
    }
}

type Documents = Pin<Box<dyn Stream<Item = Result<Document, Status>> + Send>>;

#[tonic::async_trait]
impl Local for Client {
    async fn query(&self, request: Request<QueryRequest>) -> Result<Response<Document>, Status> {
        transport::local::caller(request.extensions())?;
        let snapshot = self.published.borrow().clone();
        document(&snapshot, &request.into_inner().xpath).map(Response::new)
    }

    async fn call(&self, request: Request<CallRequest>) -> Result<Response<CallReply>, Status> {
        transport::local::caller(request.extensions())?;
        let call = request.into_inner();
        let asked = serde_json::from_slice(&call.request)
            .map_err(|e| Status::invalid_argument(format!("not a request: {e}")))?;
        let limit = (call.timeout_ms > 0).then(|| Duration::from_millis(call.timeout_ms));
        let answer = self.calls.call(asked, limit).await?;
        let response = serde_json::to_vec(&answer).map_err(|e| Status::internal(e.to_string()))?;
        Ok(Response::new(CallReply { response }))
    }

    type WatchStream = Documents;

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Documents>, Status> {
        transport::local::caller(request.extensions())?;
        let status_too = request.into_inner().status;
        let mut seen = None;
        let changes = WatchStream::new(self.published.clone()).filter_map(move |snapshot| {
            let now = if status_too {
                snapshot.change
            } else {
                snapshot.configuration
            };
            let news = seen.replace(now) != Some(now);
            std::future::ready(news.then(|| document(&snapshot, "")))
        });
        // Looked for only when its time has come, so that it is the newest.
        let changes = tokio_stream::StreamExt::throttle(changes, DOCUMENTS_APART);
        Ok(Response::new(Box::pin(changes)))
    }

    async fn state(&self, request: Request<StateRequest>) -> Result<Response<StateReply>, Status> {
        transport::local::caller(request.extensions())?;
        let view = self.view().await?;
        let state = serde_json::to_vec(&view).map_err(|e| Status::internal(e.to_string()))?;
        Ok(Response::new(StateReply { state }))
    }
}
