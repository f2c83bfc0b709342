//! Identities and mutual TLS, the local socket with peer credentials, the configuration file.
