//! Certificates: TLS configurations, who is let in, and why not in words.

use crate::identity::{self, Identity, Named};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName,
    Error, OtherError, RootCertStore, ServerConfig, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    server::{
        NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::{
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
};

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn roots(ca: &CertificateDer<'static>) -> Result<Arc<RootCertStore>, Error> {
    let mut roots = RootCertStore::empty();
    roots.add(ca.clone())?;
    Ok(Arc::new(roots))
}

/// Whether an identity can be used: key and certificate belong together, the authority signed it.
pub(crate) fn check(identity: &Identity) -> Result<(), String> {
    client(identity, Expect::Cluster).map_err(|e| words(&e))?;
    let roots = roots(&identity.ca).map_err(|e| words(&e))?;
    chain(
        &identity.certificate,
        &[],
        &roots,
        UnixTime::now(),
        &provider(),
    )
    .map_err(|e| words(&e))
}

/// What a client asks for; the server must be a node of the same cluster.
pub(super) fn client(
    identity: &Identity,
    expect: Expect,
) -> Result<(ClientConfig, Arc<ServerCheck>), Error> {
    let check = Arc::new(ServerCheck {
        provider: provider(),
        trust: Trust::Authority(roots(&identity.ca)?),
        cluster_id: Some(identity.named.cluster_id.clone()),
        expect,
        got: Mutex::new(None),
    });
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(check.clone())
        .with_client_auth_cert(
            vec![identity.certificate.clone(), identity.ca.clone()],
            identity.key.clone_key(),
        )?;
    config.resumption = Resumption::disabled();
    Ok((config, check))
}

/// For a node without an identity: the server's authority must have this fingerprint.
pub(super) fn pinned_client(fingerprint: &str) -> Result<ClientConfig, Error> {
    let check = Arc::new(ServerCheck {
        provider: provider(),
        trust: Trust::Fingerprint(fingerprint.to_owned()),
        cluster_id: None,
        expect: Expect::Cluster,
        got: Mutex::new(None),
    });
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(check)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// What a listener asks of those who connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Callers {
    /// A certificate of this cluster.
    Members,
    /// A certificate of this cluster or none: they show a token later (joining nodes).
    Anybody,
}

/// A listener's side.
pub(super) fn server(identity: &Identity, callers: Callers) -> Result<ServerConfig, Error> {
    let builder =
        ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13])?;
    let inner = WebPkiClientVerifier::builder_with_provider(roots(&identity.ca)?, provider());
    let inner = match callers {
        Callers::Members => inner,
        Callers::Anybody => inner.allow_unauthenticated(),
    };
    let check = ClientCheck {
        inner: inner.build().map_err(|e| Error::General(e.to_string()))?,
        cluster_id: identity.named.cluster_id.clone(),
    };
    let builder = builder.with_client_cert_verifier(Arc::new(check));
    let mut config = builder.with_single_cert(
        vec![identity.certificate.clone(), identity.ca.clone()],
        identity.key.clone_key(),
    )?;
    // Every connection proves its identity anew.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// Which server a client wants.
#[derive(Clone, Debug)]
pub(super) enum Expect {
    /// This node.
    Node(String),
    /// Any node of the cluster.
    Cluster,
}

#[derive(Debug)]
enum Trust {
    Authority(Arc<RootCertStore>),
    Fingerprint(String),
}

/// Checks a server's certificate and remembers whom it named.
pub(super) struct ServerCheck {
    provider: Arc<CryptoProvider>,
    trust: Trust,
    cluster_id: Option<String>,
    expect: Expect,
    got: Mutex<Option<Named>>,
}

impl fmt::Debug for ServerCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerCheck({:?})", self.expect)
    }
}

impl ServerCheck {
    /// Whom the (otherwise valid) certificate named.
    pub(super) fn got(&self) -> Option<Named> {
        self.got
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn roots(&self, chain: &[CertificateDer<'_>]) -> Result<Arc<RootCertStore>, Error> {
        let wanted = match &self.trust {
            Trust::Authority(roots) => return Ok(roots.clone()),
            Trust::Fingerprint(wanted) => wanted,
        };
        let pinned = chain.iter().find(|c| identity::fingerprint(c) == *wanted);
        let pinned = pinned.ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        roots(&pinned.clone().into_owned())
    }

    fn names(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        let named = identity::named(certificate).map_err(refusal)?;
        *self.got.lock().unwrap_or_else(PoisonError::into_inner) = Some(named.clone());
        same_cluster(&named, self.cluster_id.as_deref())?;
        match &self.expect {
            Expect::Node(node) if *node != named.node => {
                Err(Error::InvalidCertificate(CertificateError::NotValidForName))
            }
            _ => Ok(()),
        }
    }
}

impl ServerCertVerifier for ServerCheck {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let roots = self.roots(intermediates)?;
        chain(end_entity, intermediates, &roots, now, &self.provider)?;
        self.names(end_entity)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

fn chain(
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    roots: &RootCertStore,
    now: UnixTime,
    provider: &CryptoProvider,
) -> Result<(), Error> {
    verify_server_cert_signed_by_trust_anchor(
        &ParsedCertificate::try_from(end_entity)?,
        roots,
        intermediates,
        now,
        provider.signature_verification_algorithms.all,
    )
}

fn same_cluster(named: &Named, cluster_id: Option<&str>) -> Result<(), Error> {
    match cluster_id {
        Some(ours) if ours != named.cluster_id => Err(refusal(format!(
            "certificate of node '{}' is for cluster {}, this is cluster {ours}",
            named.node, named.cluster_id
        ))),
        _ => Ok(()),
    }
}

/// Checks a client's certificate: signed by our authority and for our cluster.
#[derive(Debug)]
struct ClientCheck {
    inner: Arc<dyn ClientCertVerifier>,
    cluster_id: String,
}

impl ClientCertVerifier for ClientCheck {
    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self
            .inner
            .verify_client_cert(end_entity, intermediates, now)?;
        let named = identity::named(end_entity).map_err(refusal)?;
        same_cluster(&named, Some(&self.cluster_id))?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// A refusal of ours that keeps its words through rustls.
fn refusal(words: String) -> Error {
    let words: Box<dyn std::error::Error + Send + Sync> = words.into();
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::from(words))))
}

/// Why a handshake failed, for people.
pub(super) fn reason(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<Error>());
    match inner {
        Some(tls) => words(tls),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "closed in the middle of the handshake".to_owned()
        }
        None => error.to_string(),
    }
}

/// The TLS error behind an I/O error, if it is one.
pub(super) fn is_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|e| e.is::<Error>())
}

fn words(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(reason) => certificate_words(reason),
        Error::NoCertificatesPresented => "it shows no certificate: not a member".to_owned(),
        Error::InconsistentKeys(_) => "certificate does not belong to the key".to_owned(),
        Error::AlertReceived(alert) => alert_words(*alert),
        Error::InvalidMessage(_) | Error::InappropriateHandshakeMessage { .. } => {
            format!("it does not speak TLS 1.3 as Systole does: {error}")
        }
        _ => error.to_string(),
    }
}

fn certificate_words(reason: &CertificateError) -> String {
    match reason {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "certificate signed by another cluster's CA".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "certificate expired (or this node's clock is wrong)".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "certificate not valid yet (or this node's clock is wrong)".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "certificate is for another node".to_owned()
        }
        CertificateError::Other(other) => other.0.to_string(),
        other => format!("certificate refused: {other:?}"),
    }
}

fn alert_words(alert: AlertDescription) -> String {
    let why = match alert {
        AlertDescription::UnknownCA | AlertDescription::DecryptError => {
            "ours is signed by a CA it does not know (it belongs to another cluster)"
        }
        AlertDescription::CertificateExpired => "ours has expired (or its clock is wrong)",
        AlertDescription::CertificateRequired => "it wants a certificate and got none",
        AlertDescription::BadCertificate => "it expected another node than this one",
        AlertDescription::CertificateUnknown | AlertDescription::AccessDenied => {
            "ours is not for its cluster"
        }
        other => return format!("the other side refused the connection (TLS alert {other:?})"),
    };
    format!("the other side refused our certificate: {why}")
}
