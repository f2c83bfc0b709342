//! What a person carries from a member to a newcomer.

use crate::identity::hex;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr};

const PREFIX: &str = "SYSTOLE1.";

/// SHA-256 of a token's secret, hexadecimal: all that the cluster keeps of it.
#[must_use]
pub fn digest(secret: &str) -> String {
    hex(&Sha256::digest(secret.as_bytes()))
}

/// A join token. Its text form (`SYSTOLE1.…`) is a secret.
///
/// ```
/// use transport::join::{Token, digest};
/// let token = Token::generate("ab12", "prod");
/// let carried: Token = token.to_string().parse()?;
/// assert_eq!(carried.cluster_name, "prod");
/// assert_eq!(digest(&carried.secret), token.digest());
/// # Ok::<(), transport::join::TokenError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// Good once.
    pub secret: String,
    /// SHA-256 of the certificate of the cluster's authority, hexadecimal.
    pub fingerprint: String,
    /// Which cluster.
    pub cluster_name: String,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token(for {:?})", self.cluster_name)
    }
}

/// Why a text is not a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not a join token: {0}; copy the whole line that `systole cluster token` printed")]
pub struct TokenError(&'static str);

impl Token {
    /// A new one with 256 bits of secret.
    #[must_use]
    pub fn generate(fingerprint: &str, cluster_name: &str) -> Self {
        let secret: [u8; 32] = rand::random();
        Self {
            secret: hex(&secret),
            fingerprint: fingerprint.to_owned(),
            cluster_name: cluster_name.to_owned(),
        }
    }

    /// What the cluster is told of it.
    #[must_use]
    pub fn digest(&self) -> String {
        digest(&self.secret)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = [&*self.secret, &*self.fingerprint, &*self.cluster_name];
        write!(f, "{PREFIX}{}", BASE64.encode(fields.join("\n")))
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let body = text
            .trim()
            .strip_prefix(PREFIX)
            .ok_or(TokenError("it does not begin with SYSTOLE1."))?;
        let bytes = BASE64
            .decode(body)
            .map_err(|_| TokenError("it is damaged or incomplete"))?;
        let fields = String::from_utf8(bytes).map_err(|_| TokenError("it is damaged"))?;
        match *fields.split('\n').collect::<Vec<_>>() {
            [secret, fingerprint, cluster_name] if !secret.is_empty() => Ok(Self {
                secret: secret.to_owned(),
                fingerprint: fingerprint.to_owned(),
                cluster_name: cluster_name.to_owned(),
            }),
            _ => Err(TokenError("parts of it are missing")),
        }
    }
}
