//! Figures for Prometheus: `GET /metrics` over plain HTTP, where the configuration file says so.
//!
//! Must never: cost anything while nobody asks, hold up the driver (it answers one event for each scrape), or
//! stand in the way of the daemon: if the address is taken, the daemon works without it and tries on.

mod gather;
mod histogram;
mod text;

use crate::{alerts::Alerts, driver::Events, links::Links, raft_control::RaftControl};
pub(crate) use histogram::Histogram;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{ALLOW, CONTENT_TYPE},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use transport::config::Metrics as Settings;

/// Version 0.0.4 of Prometheus' text format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Between two attempts to listen.
const AGAIN: Duration = Duration::from_secs(30);

/// Where the figures come from.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    /// To the driver, for what the core knows.
    pub(crate) events: Events,
    /// For Raft's own view, and how long commits took.
    pub(crate) raft: RaftControl,
    /// For the links.
    pub(crate) links: Links,
    /// For the alerts.
    pub(crate) alerts: Alerts,
}

/// Who has the figures.
pub(crate) trait Scraped: Clone + Send + Sync + 'static {
    /// All of them, now; nothing: the daemon is ending.
    fn text(&self) -> impl Future<Output = Option<String>> + Send;
}

impl Scraped for Sources {
    async fn text(&self) -> Option<String> {
        gather::all(self).await
    }
}

/// Serves until the runtime ends.
pub(crate) async fn serve(settings: Settings, sources: impl Scraped) {
    let listener = listen(&settings).await;
    if settings.listen.ip().is_loopback() {
        tracing::info!(address = %settings.listen, "metrics are offered on this host");
    } else {
        tracing::warn!(
            address = %settings.listen,
            "metrics are offered beyond this host, unencrypted and to anybody who reaches the address: names of \
             nodes and resources and their failures can be read there; 127.0.0.1 keeps them here"
        );
    }
    let places = Arc::new(Semaphore::new(settings.connections));
    let limit = Duration::from_millis(settings.request_timeout_ms);
    loop {
        // Closed only when dropped, which it is not.
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let sources = sources.clone();
                tokio::spawn(async move {
                    // Who is too slow is cut off, whatever it was doing.
                    let _ = timeout(limit, converse(stream, sources, limit)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "a connection for metrics was not accepted");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn listen(settings: &Settings) -> TcpListener {
    let mut told = false;
    loop {
        match TcpListener::bind(settings.listen).await {
            Ok(listener) => return listener,
            Err(error) if !told => {
                told = true;
                tracing::error!(
                    address = %settings.listen, %error,
                    "no metrics: metrics.listen cannot be used; everything else works, and it is tried again every \
                     {} s", AGAIN.as_secs()
                );
            }
            Err(_) => {}
        }
        sleep(AGAIN).await;
    }
}

/// One connection; what goes wrong on it concerns its other end.
async fn converse(stream: TcpStream, sources: impl Scraped, limit: Duration) {
    let service = service_fn(move |request| {
        let sources = sources.clone();
        async move { Ok::<_, Infallible>(answer(&request, &sources).await) }
    });
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limit)
        // Scrapes are rare; an open connection would only hold a place.
        .keep_alive(false)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(request: &Request<Incoming>, sources: &impl Scraped) -> Response<Full<Bytes>> {
    if request.uri().path() != "/metrics" {
        return plain(StatusCode::NOT_FOUND, "the figures are at /metrics\n");
    }
    if request.method() != Method::GET {
        let mut refusal = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered\n");
        let allowed = hyper::header::HeaderValue::from_static("GET");
        refusal.headers_mut().insert(ALLOW, allowed);
        return refusal;
    }
    match sources.text().await {
        Some(text) => respond(StatusCode::OK, TEXT, text.into()),
        None => plain(StatusCode::SERVICE_UNAVAILABLE, "the daemon is ending\n"),
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    respond(
        status,
        "text/plain; charset=utf-8",
        Bytes::from_static(text.as_bytes()),
    )
}

fn respond(status: StatusCode, form: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let form = hyper::header::HeaderValue::from_static(form);
    response.headers_mut().insert(CONTENT_TYPE, form);
    response
}

#[cfg(test)]
mod tests;
