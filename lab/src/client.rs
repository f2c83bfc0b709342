//! A node's crmd, asked over its local socket from outside the node.

use crate::{
    error::{LabError, said},
    layout::Layout,
};
use crmd_core::{
    request::{CibChange, Request, Response},
    view::NodeView,
};
use proto::local::{CallRequest, QueryRequest, StateRequest, local_client::LocalClient};
use std::{future::Future, path::PathBuf, time::Duration};
use tonic::transport::Channel;

/// Deadline of a connection to the socket.
pub(crate) const CONNECT_MS: u64 = 2_000;

/// Asks one node. Blocks; every call has a deadline.
pub(crate) struct Client {
    node: String,
    socket: PathBuf,
    runtime: tokio::runtime::Runtime,
}

impl Client {
    /// For a node of a lab.
    pub(crate) fn new(layout: &Layout, node: &str) -> Result<Self, LabError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.map_err(|source| LabError::Io {
            what: "start a runtime".into(),
            source,
        })?;
        Ok(Self {
            node: node.to_owned(),
            socket: layout.crmd_socket(node),
            runtime,
        })
    }

    fn ask<T, F>(
        &self,
        limit: Duration,
        deed: impl FnOnce(LocalClient<Channel>) -> F,
    ) -> Result<T, LabError>
    where
        F: Future<Output = Result<T, tonic::Status>>,
    {
        let answer = self.runtime.block_on(async {
            let channel = transport::local::connect(&self.socket, CONNECT_MS).await;
            let channel = channel.map_err(|e| LabError::Said(format!("{}: {e}", self.node)))?;
            let asked = tokio::time::timeout(limit, deed(LocalClient::new(channel))).await;
            let answered = asked.map_err(|_| LabError::TooLate {
                what: format!("crmd of {} did not answer", self.node),
                limit_ms: limit.as_millis() as u64,
            })?;
            answered.map_err(|status| {
                LabError::Said(format!("crmd of {}: {}", self.node, status.message()))
            })
        })?;
        Ok(answer)
    }

    /// What the node knows of itself and the others.
    pub(crate) fn state(&self, limit: Duration) -> Result<NodeView, LabError> {
        let reply = self.ask(limit, |mut c| async move { c.state(StateRequest {}).await })?;
        from_json(&reply.into_inner().state)
    }

    /// The whole CIB.
    pub(crate) fn cib(&self, limit: Duration) -> Result<cib::Element, LabError> {
        let query = QueryRequest {
            xpath: String::new(),
        };
        let reply = self.ask(limit, |mut c| async move { c.query(query).await })?;
        cib::Element::parse(&reply.into_inner().xml)
            .map_err(|e| LabError::Said(format!("CIB of {}: {e}", self.node)))
    }

    /// Has a request carried out and waits for it to take effect.
    pub(crate) fn call(&self, request: &Request, limit: Duration) -> Result<Response, LabError> {
        let request = serde_json::to_vec(request).map_err(|e| LabError::Said(e.to_string()))?;
        let call = CallRequest {
            request,
            timeout_ms: limit.as_millis() as u64,
        };
        let grace = limit + Duration::from_secs(1);
        let reply = self.ask(grace, |mut c| async move { c.call(call).await })?;
        match from_json(&reply.into_inner().response)? {
            Response::Refused(refusal) => said(format!("{} refused: {}", self.node, refusal.text)),
            response => Ok(response),
        }
    }

    /// Changes or adds to a section.
    pub(crate) fn modify(&self, section: &str, xml: &str, limit: Duration) -> Result<(), LabError> {
        let change = CibChange {
            action: "modify".into(),
            section: Some(section.into()),
            xpath: None,
            xml: xml.into(),
            allow_create: true,
            origin: "lab".into(),
        };
        self.call(&Request::Cib(change), limit).map(drop)
    }

    /// One change of the configuration.
    pub(crate) fn change(
        &self,
        action: &str,
        section: &str,
        xml: &str,
        limit: Duration,
    ) -> Result<(), LabError> {
        let change = CibChange {
            action: action.into(),
            section: Some(section.into()),
            xpath: None,
            xml: xml.into(),
            allow_create: false,
            origin: "lab".into(),
        };
        self.call(&Request::Cib(change), limit).map(drop)
    }
}

/// What a daemon answered.
pub(crate) fn from_json<T: for<'a> serde::Deserialize<'a>>(bytes: &[u8]) -> Result<T, LabError> {
    serde_json::from_slice(bytes)
        .map_err(|e| LabError::Said(format!("not the answer that was expected: {e}")))
}
