//! Changes from many connections at once.

use super::{Figures, option, remove};
use crate::{
    client::{self, CONNECT_MS},
    cluster::Cluster,
    error::{LabError, While},
};
use clap::Args;
use crmd_core::request::{CibChange, Request, Response};
use proto::local::{CallRequest, local_client::LocalClient};
use rustix::fs::statfs;
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

#[derive(Args)]
pub(super) struct Options {
    /// Connections, each with one change under way at any time; they are spread over the nodes.
    #[arg(long, default_value_t = 64)]
    connections: u32,
    /// How long.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Only at this node.
    #[arg(long)]
    node: Option<String>,
}

const SET: &str = "bench-writes";
const LIMIT: Duration = Duration::from_secs(20);
/// `statfs` says so of a file system in memory.
const TMPFS: i64 = 0x0102_1994;

pub(super) fn measure(cluster: &Cluster<'_>, options: &Options) -> Result<Figures, LabError> {
    let layout = cluster.lab.layout();
    let nodes = match &options.node {
        Some(node) => vec![node.clone()],
        None => cluster.lab.spec().nodes.clone(),
    };
    let sockets: Vec<PathBuf> = nodes.iter().map(|n| layout.crmd_socket(n)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .during(|| "start a runtime".into())?;
    let began = Instant::now();
    let until = began + Duration::from_secs(options.seconds);
    let mut took = runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for (number, socket) in (0..options.connections).zip(sockets.iter().cycle()) {
            tasks.spawn(writer(socket.clone(), u64::from(number), until));
        }
        let mut all = Vec::new();
        while let Some(ended) = tasks.join_next().await {
            let times = ended.map_err(|e| LabError::Said(e.to_string()))?;
            all.extend(times?);
        }
        Ok::<_, LabError>(all)
    })?;
    let seconds = began.elapsed().as_secs_f64();
    took.sort_unstable();
    let at = |part: usize| took.get((took.len() * part / 100).min(took.len().saturating_sub(1)));
    let ms = |part| at(part).map_or(0.0, |t| t.as_secs_f64() * 1000.0);
    let mut figures = Figures::default();
    figures.set("connections", f64::from(options.connections));
    figures.set("acknowledged", took.len() as f64);
    figures.set("writes_per_s", took.len() as f64 / seconds);
    figures.set("median_ms", ms(50));
    figures.set("p99_ms", ms(99));
    figures.set("worst_ms", ms(100));
    let file_system = statfs(layout.dir()).map_err(std::io::Error::from);
    let file_system = file_system.during(|| format!("look at {}", layout.dir().display()))?;
    figures.expect(file_system.f_type as i64 != TMPFS, || {
        format!(
            "the lab lies in memory ({}): these figures say nothing of a disk; --lab takes one made with \
             'systole lab up --dir DIRECTORY' on a disk",
            layout.dir().display()
        )
    });
    remove(cluster, SET)?;
    let digests = cluster.same_digest();
    figures.expect(digests.is_ok(), || {
        digests.err().map(|e| e.to_string()).unwrap_or_default()
    });
    Ok(figures)
}

/// One connection: how long each change took to be acknowledged.
async fn writer(socket: PathBuf, number: u64, until: Instant) -> Result<Vec<Duration>, LabError> {
    let refused = |e: String| LabError::Said(format!("{}: {e}", socket.display()));
    let channel = transport::local::connect(&socket, CONNECT_MS)
        .await
        .map_err(|e| refused(e.to_string()))?;
    let mut client = LocalClient::new(channel);
    let mut times = Vec::new();
    while Instant::now() < until {
        let change = CibChange {
            action: "modify".into(),
            section: Some("crm_config".into()),
            xpath: None,
            xml: option(SET, number, &times.len().to_string()),
            allow_create: true,
            origin: "bench".into(),
        };
        let request = serde_json::to_vec(&Request::Cib(change));
        let request = request.map_err(|e| refused(e.to_string()))?;
        let asked = Instant::now();
        let call = CallRequest {
            request,
            timeout_ms: LIMIT.as_millis() as u64,
        };
        let answered = tokio::time::timeout(LIMIT * 2, client.call(call)).await;
        let answered = answered.map_err(|_| refused("no answer in time".into()))?;
        let reply = answered.map_err(|status| refused(status.message().into()))?;
        if let Response::Refused(refusal) = client::from_json(&reply.into_inner().response)? {
            return Err(refused(refusal.text));
        }
        times.push(asked.elapsed());
    }
    Ok(times)
}
