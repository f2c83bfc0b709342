//! Who may talk to whom: a certificate authority for each cluster, a certificate for each node.
//!
//! A node's certificate carries its name (CN), the cluster's id (O) and both as a DNS name
//! `NODE.CLUSTERID.systole`. Certificates do not expire by themselves: a cluster whose members
//! refuse one another on a forgotten date would be an outage of its own making. Who is a member
//! is decided by the replicated log; a certificate only proves the name.
//!
//! ```
//! # let dir = tempfile::tempdir().unwrap();
//! use transport::identity::{Authority, Identity, KeyRequest};
//! let authority = Authority::create("prod", "3f6c1d0a")?;
//! authority.save(dir.path())?;
//! let request = KeyRequest::new("node1")?;
//! let certificate = authority.sign(&request.csr_pem, "node1")?;
//! request.save(dir.path(), &certificate, authority.certificate_pem())?;
//! let identity = Identity::load(dir.path(), "node1", "3f6c1d0a")?;
//! assert_eq!(identity.ca_fingerprint(), authority.fingerprint());
//! # Ok::<(), transport::identity::IdentityError>(())
//! ```

use crate::durable::{self, FileError};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use sha2::{Digest, Sha256};
use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use x509_parser::prelude::{FromDer, X509Certificate};

/// File names under the identity directory.
pub mod files {
    /// Certificate of the cluster's authority.
    pub const CA_CERTIFICATE: &str = "ca.crt";
    /// Its key; only where the cluster was made (and where a person copied it to).
    pub const CA_KEY: &str = "ca.key";
    /// Certificate of this node.
    pub const NODE_CERTIFICATE: &str = "node.crt";
    /// Its key.
    pub const NODE_KEY: &str = "node.key";
}

/// Why an identity cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file does not hold what it should.
    #[error("{}: {reason}", path.display())]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// A key or certificate could not be made.
    #[error("cannot make {what}: {source}")]
    Make {
        /// What.
        what: &'static str,
        /// Why not.
        source: rcgen::Error,
    },
    /// The request of a node to be certified is not acceptable.
    #[error("certificate request of '{node}': {reason}")]
    Request {
        /// Whose.
        node: String,
        /// Why not.
        reason: String,
    },
}

fn make(what: &'static str) -> impl Fn(rcgen::Error) -> IdentityError {
    move |source| IdentityError::Make { what, source }
}

/// Whom a certificate names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Node.
    pub node: String,
    /// Its cluster.
    pub cluster_id: String,
}

/// Reads the names in a certificate (which must have been verified by the caller).
///
/// # Errors
/// In words, what is missing in it.
pub fn named(certificate: &CertificateDer<'_>) -> Result<Named, String> {
    let (_, parsed) = X509Certificate::from_der(certificate.as_ref())
        .map_err(|e| format!("not an X.509 certificate: {e}"))?;
    let subject = parsed.subject();
    let cn = subject.iter_common_name().next();
    let organization = subject.iter_organization().next();
    let text = |a: Option<&x509_parser::x509::AttributeTypeAndValue<'_>>| {
        a.and_then(|a| a.as_str().ok()).map(str::to_owned)
    };
    match (text(cn), text(organization)) {
        (Some(node), Some(cluster_id)) => Ok(Named { node, cluster_id }),
        _ => Err("certificate names no node and cluster: not made by Systole".to_owned()),
    }
}

/// The node on which the authority of the identity in `dir` was made: it has the authority's key.
#[must_use]
pub fn keeper(dir: &Path) -> Option<String> {
    let path = dir.join(files::CA_CERTIFICATE);
    let certificate = certificate_in(&path, &read(&path).ok()?).ok()?;
    let (_, parsed) = X509Certificate::from_der(certificate.as_ref()).ok()?;
    let unit = parsed.subject().iter_organizational_unit().next()?;
    unit.as_str().ok().map(str::to_owned)
}

/// SHA-256 of a certificate, hexadecimal.
#[must_use]
pub fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    hex(&Sha256::digest(certificate.as_ref()))
}

/// A random id for a new cluster.
#[must_use]
pub fn new_cluster_id() -> String {
    format!("{:016x}", rand::random::<u64>())
}

/// Lower-case hexadecimal.
#[must_use]
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The cluster's certificate authority with its key.
pub struct Authority {
    certificate_pem: String,
    certificate: CertificateDer<'static>,
    key: KeyPair,
    cluster_id: String,
}

impl Authority {
    /// Makes one for a new cluster.
    ///
    /// # Errors
    /// The key could not be made.
    pub fn create(cluster_name: &str, cluster_id: &str) -> Result<Self, IdentityError> {
        Self::create_on(cluster_name, cluster_id, "")
    }

    /// The same, naming in its certificate the node that keeps the key, so that the others can
    /// say whom to ask (see [`keeper`]).
    ///
    /// # Errors
    /// The key could not be made.
    pub fn create_on(
        cluster_name: &str,
        cluster_id: &str,
        node: &str,
    ) -> Result<Self, IdentityError> {
        let key = KeyPair::generate().map_err(make("the authority's key"))?;
        let mut params = CertificateParams::default();
        params.distinguished_name = names(&format!("Systole cluster {cluster_name}"), cluster_id);
        if !node.is_empty() {
            let unit = DnType::OrganizationalUnitName;
            params.distinguished_name.push(unit, node);
        }
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        forever(&mut params);
        let certificate = params
            .self_signed(&key)
            .map_err(make("the authority's certificate"))?;
        Ok(Self {
            certificate_pem: certificate.pem(),
            certificate: certificate.der().clone(),
            key,
            cluster_id: cluster_id.to_owned(),
        })
    }

    /// Loads it from the identity directory; `None` if this node does not have the key.
    ///
    /// # Errors
    /// Files that are there but unusable.
    pub fn load(dir: &Path) -> Result<Option<Self>, IdentityError> {
        let key_path = dir.join(files::CA_KEY);
        if !key_path.exists() {
            return Ok(None);
        }
        let key_pem = read_secret(&key_path)?;
        let key = KeyPair::from_pem(&key_pem)
            .map_err(|e| unusable(&key_path, format!("not a key in PEM: {e}")))?;
        let path = dir.join(files::CA_CERTIFICATE);
        let certificate_pem = read(&path)?;
        let certificate = certificate_in(&path, &certificate_pem)?;
        let cluster_id = named(&certificate)
            .map_err(|reason| unusable(&path, reason))?
            .cluster_id;
        Ok(Some(Self {
            certificate_pem,
            certificate,
            key,
            cluster_id,
        }))
    }

    /// Writes `ca.crt` and `ca.key` durably.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn save(&self, dir: &Path) -> Result<(), IdentityError> {
        durable::create_dir(dir, 0o755)?;
        let key = self.key.serialize_pem();
        durable::write(&dir.join(files::CA_KEY), key.as_bytes(), 0o600)?;
        let certificate = self.certificate_pem.as_bytes();
        durable::write(&dir.join(files::CA_CERTIFICATE), certificate, 0o644)?;
        Ok(())
    }

    /// Certifies that the holder of the request's key is `node`. Nothing but the key is taken
    /// from the request.
    ///
    /// # Errors
    /// The request is not valid, or the node's name is not usable.
    pub fn sign(&self, csr_pem: &str, node: &str) -> Result<String, IdentityError> {
        self.sign_until(csr_pem, node, (4096, 1, 1))
    }

    pub(crate) fn sign_until(
        &self,
        csr_pem: &str,
        node: &str,
        (year, month, day): (i32, u8, u8),
    ) -> Result<String, IdentityError> {
        let refuse = |reason: String| IdentityError::Request {
            node: node.to_owned(),
            reason,
        };
        if let Some(reason) = crate::config::bad_name(node) {
            return Err(refuse(reason));
        }
        let request = CertificateSigningRequestParams::from_pem(csr_pem)
            .map_err(|e| refuse(format!("not a valid request in PEM: {e}")))?;
        let dns = format!("{node}.{}.systole", self.cluster_id);
        let mut params =
            CertificateParams::new(vec![dns]).map_err(|e| refuse(format!("name: {e}")))?;
        params.distinguished_name = names(node, &self.cluster_id);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        forever(&mut params);
        params.not_after = date_time_ymd(year, month, day);
        let issuer = Issuer::from_ca_cert_der(&self.certificate, &self.key)
            .map_err(make("the issuer of a certificate"))?;
        let certificate = params
            .signed_by(&request.public_key, &issuer)
            .map_err(make("a node's certificate"))?;
        Ok(certificate.pem())
    }

    /// Its certificate.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// SHA-256 of its certificate, hexadecimal.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.certificate)
    }
}

fn names(common_name: &str, organization: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, common_name);
    names.push(DnType::OrganizationName, organization);
    names
}

/// From long ago, so that a node whose clock is not set yet can still join its cluster.
fn forever(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(1975, 1, 1);
    params.not_after = date_time_ymd(4096, 1, 1);
}

/// A new key and the request to certify it.
pub struct KeyRequest {
    /// Goes to the authority.
    pub csr_pem: String,
    key_pem: String,
}

impl KeyRequest {
    /// Makes a key for `node`.
    ///
    /// # Errors
    /// The key could not be made.
    pub fn new(node: &str) -> Result<Self, IdentityError> {
        let key = KeyPair::generate().map_err(make("the node's key"))?;
        let mut params = CertificateParams::default();
        params.distinguished_name = names(node, "");
        let csr = params
            .serialize_request(&key)
            .and_then(|csr| csr.pem())
            .map_err(make("the certificate request"))?;
        Ok(Self {
            csr_pem: csr,
            key_pem: key.serialize_pem(),
        })
    }

    /// Writes `node.key`, `node.crt` and `ca.crt` durably.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn save(&self, dir: &Path, certificate: &str, ca: &str) -> Result<(), IdentityError> {
        durable::create_dir(dir, 0o755)?;
        durable::write(&dir.join(files::NODE_KEY), self.key_pem.as_bytes(), 0o600)?;
        let path = dir.join(files::NODE_CERTIFICATE);
        durable::write(&path, certificate.as_bytes(), 0o644)?;
        durable::write(&dir.join(files::CA_CERTIFICATE), ca.as_bytes(), 0o644)?;
        Ok(())
    }

    /// The identity this key and a certificate for it make, without files.
    ///
    /// # Errors
    /// One of the parts is not what it should be.
    pub fn identity(&self, certificate: &str, ca: &str) -> Result<Identity, IdentityError> {
        let place = Path::new("answer");
        Identity::from_parts(
            certificate_in(place, certificate)?,
            key_in(place, &self.key_pem)?,
            certificate_in(place, ca)?,
            place,
        )
    }
}

/// What a node shows and what it trusts.
pub struct Identity {
    pub(crate) named: Named,
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: PrivateKeyDer<'static>,
    pub(crate) ca: CertificateDer<'static>,
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self {
            named: self.named.clone(),
            certificate: self.certificate.clone(),
            key: self.key.clone_key(),
            ca: self.ca.clone(),
        }
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity")
            .field("named", &self.named)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// Loads and checks `node.crt`, `node.key` and `ca.crt`; a daemon that cannot authenticate
    /// itself must not start.
    ///
    /// # Errors
    /// Which file, what is wrong and what would be right.
    pub fn load(dir: &Path, node: &str, cluster_id: &str) -> Result<Self, IdentityError> {
        let path = dir.join(files::NODE_CERTIFICATE);
        let key_path = dir.join(files::NODE_KEY);
        let ca_path = dir.join(files::CA_CERTIFICATE);
        let identity = Self::from_parts(
            certificate_in(&path, &read(&path)?)?,
            key_in(&key_path, &read_secret(&key_path)?)?,
            certificate_in(&ca_path, &read(&ca_path)?)?,
            &path,
        )?;
        let named = &identity.named;
        if named.node != node || named.cluster_id != cluster_id {
            let reason = format!(
                "is for node '{}' of cluster {}, the configuration is for node '{node}' of cluster {cluster_id}: `systole cluster join` makes them agree",
                named.node, named.cluster_id
            );
            return Err(unusable(&path, reason));
        }
        Ok(identity)
    }

    fn from_parts(
        certificate: CertificateDer<'static>,
        key: PrivateKeyDer<'static>,
        ca: CertificateDer<'static>,
        path: &Path,
    ) -> Result<Self, IdentityError> {
        let named = named(&certificate).map_err(|reason| unusable(path, reason))?;
        let identity = Self {
            named,
            certificate,
            key,
            ca,
        };
        crate::tls::check(&identity).map_err(|reason| unusable(path, reason))?;
        Ok(identity)
    }

    /// An identity as no check would let it pass: for tests of refusals.
    #[cfg(test)]
    pub(crate) fn unchecked(request: &KeyRequest, certificate: &str, like: &Self) -> Self {
        let place = Path::new("test");
        Self {
            certificate: certificate_in(place, certificate).unwrap(),
            key: key_in(place, &request.key_pem).unwrap(),
            ..like.clone()
        }
    }

    /// Whom it names.
    #[must_use]
    pub fn named(&self) -> &Named {
        &self.named
    }

    /// SHA-256 of the authority's certificate, hexadecimal.
    #[must_use]
    pub fn ca_fingerprint(&self) -> String {
        fingerprint(&self.ca)
    }
}

fn unusable(path: &Path, reason: String) -> IdentityError {
    IdentityError::Unusable {
        path: path.to_owned(),
        reason,
    }
}

fn read(path: &Path) -> Result<String, IdentityError> {
    std::fs::read_to_string(path).map_err(|e| FileError::new(path, "read", e).into())
}

fn read_secret(path: &Path) -> Result<String, IdentityError> {
    let metadata = std::fs::metadata(path).map_err(|e| FileError::new(path, "read", e))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let reason = format!(
            "mode {mode:o} lets others read the key: `chmod 600 {}`",
            path.display()
        );
        return Err(unusable(path, reason));
    }
    read(path)
}

fn certificate_in(path: &Path, pem: &str) -> Result<CertificateDer<'static>, IdentityError> {
    CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|e| unusable(path, format!("not a certificate in PEM: {e}")))
}

fn key_in(path: &Path, pem: &str) -> Result<PrivateKeyDer<'static>, IdentityError> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|e| unusable(path, format!("not a key in PEM: {e}")))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An identity of `node`, certified by `authority`.
    pub(crate) fn identity(authority: &Authority, node: &str) -> Identity {
        let request = KeyRequest::new(node).unwrap();
        let certificate = authority.sign(&request.csr_pem, node).unwrap();
        request
            .identity(&certificate, authority.certificate_pem())
            .unwrap()
    }

    fn saved(dir: &Path, authority: &Authority, node: &str) {
        authority.save(dir).unwrap();
        let request = KeyRequest::new(node).unwrap();
        let certificate = authority.sign(&request.csr_pem, node).unwrap();
        let ca = authority.certificate_pem();
        request.save(dir, &certificate, ca).unwrap();
    }

    #[test]
    fn survives_the_disk_and_signs_again() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::create("prod", "c1").unwrap();
        saved(dir.path(), &authority, "Node_1.example");
        let again = Authority::load(dir.path()).unwrap().unwrap();
        assert_eq!(again.fingerprint(), authority.fingerprint());
        let named = identity(&again, "n2").named;
        assert_eq!(
            (named.node.as_str(), named.cluster_id.as_str()),
            ("n2", "c1")
        );
        let loaded = Identity::load(dir.path(), "Node_1.example", "c1").unwrap();
        assert_eq!(loaded.ca_fingerprint(), authority.fingerprint());
    }

    #[test]
    fn refuses_what_cannot_authenticate() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::create("prod", "c1").unwrap();
        saved(dir.path(), &authority, "n1");
        let refusal = |node: &str, id: &str| {
            let error = Identity::load(dir.path(), node, id).unwrap_err();
            error.to_string()
        };
        let error = refusal("n2", "c1");
        assert!(error.contains("'n1'") && error.contains("'n2'"), "{error}");
        let error = refusal("n1", "c2");
        assert!(error.contains("c1") && error.contains("c2"), "{error}");

        let key = dir.path().join(files::NODE_KEY);
        let mode = |bits| std::fs::set_permissions(&key, PermissionsExt::from_mode(bits)).unwrap();
        mode(0o644);
        assert!(refusal("n1", "c1").contains("chmod 600"));
        mode(0o600);
        std::fs::write(&key, KeyRequest::new("n1").unwrap().key_pem).unwrap();
        assert!(
            refusal("n1", "c1").contains("does not belong"),
            "{}",
            refusal("n1", "c1")
        );
        std::fs::remove_file(&key).unwrap();
        assert!(refusal("n1", "c1").contains("node.key"));
    }

    #[test]
    fn refuses_a_certificate_of_another_authority() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::create("prod", "c1").unwrap();
        saved(dir.path(), &authority, "n1");
        let other = Authority::create("prod", "c1").unwrap();
        let ca = dir.path().join(files::CA_CERTIFICATE);
        std::fs::write(ca, other.certificate_pem()).unwrap();
        let error = Identity::load(dir.path(), "n1", "c1").unwrap_err();
        assert!(
            error.to_string().contains("another cluster's CA"),
            "{error}"
        );
    }

    #[test]
    fn takes_nothing_but_the_key_from_a_request() {
        let authority = Authority::create("prod", "c1").unwrap();
        let request = KeyRequest::new("victim").unwrap();
        let certificate = authority.sign(&request.csr_pem, "n2").unwrap();
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        assert_eq!(named(&der).unwrap().node, "n2");
        let error = authority.sign("nonsense", "n2").err().unwrap();
        assert!(error.to_string().contains("'n2'"), "{error}");
        assert!(authority.sign(&request.csr_pem, "n 2").is_err());
    }
}
