//! Do two daemons belong together? The same question on both sides of a connection, so that both
//! logs tell the same story with both values.
//!
//! ```
//! use proto::peer::Hello;
//! use transport::hello;
//! let mine = Hello { cluster_id: "a".into(), protocol: 1, ..Hello::default() };
//! let theirs = Hello { node: "n2".into(), protocol: 2, ..mine.clone() };
//! let refusal = hello::check(&mine, &theirs, "n2", 0).unwrap_err();
//! assert!(refusal.to_string().contains("protocol 2"));
//! ```

use proto::peer::Hello;
use tonic::Status;

/// Why two daemons do not talk; the text names both values and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Different cluster ids: certificates should have prevented it.
    #[error(
        "'{node}' belongs to cluster '{their_name}' (id {their_id}), this is cluster '{my_name}' (id {my_id}); a node changes its cluster by `systole cluster join`"
    )]
    OtherCluster {
        /// Who.
        node: String,
        /// Its cluster's name.
        their_name: String,
        /// Its cluster's id.
        their_id: String,
        /// Ours.
        my_name: String,
        /// Ours.
        my_id: String,
    },
    /// One cluster id, two names: a configuration file was edited.
    #[error(
        "'{node}' calls the cluster '{theirs}', here it is called '{mine}' (id {id}): set the same cluster.name in both configuration files"
    )]
    OtherName {
        /// Who.
        node: String,
        /// What it says.
        theirs: String,
        /// What is said here.
        mine: String,
        /// Which cluster.
        id: String,
    },
    /// The wire protocols differ.
    #[error(
        "'{node}' speaks protocol {theirs} (version {their_version}), this node speaks protocol {mine} (version {my_version}): install versions with the same protocol"
    )]
    OtherProtocol {
        /// Who.
        node: String,
        /// Its protocol.
        theirs: u32,
        /// Its program's version.
        their_version: String,
        /// Ours.
        mine: u32,
        /// Ours.
        my_version: String,
    },
    /// The cluster already uses features that this member does not know.
    #[error(
        "'{node}' (version {their_version}) knows features up to level {theirs}, the cluster uses level {required} (this node: version {my_version}): upgrade '{node}'"
    )]
    TooOld {
        /// Who.
        node: String,
        /// What it knows.
        theirs: u32,
        /// Its program's version.
        their_version: String,
        /// What the cluster uses.
        required: u32,
        /// Our program's version.
        my_version: String,
    },
    /// It shows one name in its certificate and says another.
    #[error("certificate is for node '{certificate}', but the daemon says it is '{says}'")]
    OtherNode {
        /// In the certificate.
        certificate: String,
        /// In the greeting.
        says: String,
    },
}

/// Whether `theirs` may talk to `mine`: `authenticated` is the name in their certificate,
/// `required_level` the feature level the cluster has committed to.
///
/// # Errors
/// The first reason why not.
pub fn check(
    mine: &Hello,
    theirs: &Hello,
    authenticated: &str,
    required_level: u32,
) -> Result<(), Refusal> {
    let node = theirs.node.clone();
    if theirs.cluster_id != mine.cluster_id {
        return Err(Refusal::OtherCluster {
            node,
            their_name: theirs.cluster_name.clone(),
            their_id: theirs.cluster_id.clone(),
            my_name: mine.cluster_name.clone(),
            my_id: mine.cluster_id.clone(),
        });
    }
    if theirs.cluster_name != mine.cluster_name {
        return Err(Refusal::OtherName {
            node,
            theirs: theirs.cluster_name.clone(),
            mine: mine.cluster_name.clone(),
            id: mine.cluster_id.clone(),
        });
    }
    if theirs.node != authenticated {
        return Err(Refusal::OtherNode {
            certificate: authenticated.to_owned(),
            says: node,
        });
    }
    check_versions(mine, theirs, required_level)
}

fn check_versions(mine: &Hello, theirs: &Hello, required_level: u32) -> Result<(), Refusal> {
    let node = theirs.node.clone();
    let their_version = theirs.version.clone();
    let my_version = mine.version.clone();
    if theirs.protocol != mine.protocol {
        return Err(Refusal::OtherProtocol {
            node,
            theirs: theirs.protocol,
            their_version,
            mine: mine.protocol,
            my_version,
        });
    }
    if theirs.feature_level < required_level {
        return Err(Refusal::TooOld {
            node,
            theirs: theirs.feature_level,
            their_version,
            required: required_level,
            my_version,
        });
    }
    Ok(())
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::OtherNode { .. } => Self::permission_denied(refusal.to_string()),
            _ => Self::failed_precondition(refusal.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(node: &str) -> Hello {
        Hello {
            cluster_name: "prod".into(),
            cluster_id: "c1".into(),
            node: node.into(),
            version: "0.1.0".into(),
            protocol: 1,
            feature_level: 3,
            ..Hello::default()
        }
    }

    fn both_sides(change: impl FnOnce(&mut Hello), both: &[&str]) {
        let mine = hello("a");
        let mut theirs = hello("b");
        change(&mut theirs);
        let here = check(&mine, &theirs, "b", 3).unwrap_err().to_string();
        let there = check(&theirs, &mine, "a", 3).unwrap_err().to_string();
        for value in both {
            assert!(here.contains(value), "'{value}' is missing in: {here}");
            assert!(there.contains(value), "'{value}' is missing in: {there}");
        }
    }

    #[test]
    fn equals_belong_together() {
        assert_eq!(check(&hello("a"), &hello("b"), "b", 3), Ok(()));
    }

    #[test]
    fn both_sides_name_both_values() {
        both_sides(|h| h.cluster_id = "c2".into(), &["c1", "c2"]);
        both_sides(|h| h.cluster_name = "test".into(), &["prod", "test"]);
        both_sides(
            |h| {
                h.protocol = 2;
                h.version = "0.2.0".into();
            },
            &["protocol 1", "protocol 2", "0.1.0", "0.2.0"],
        );
    }

    #[test]
    fn an_older_one_must_be_upgraded_and_a_newer_one_may_come() {
        let (mine, mut theirs) = (hello("a"), hello("b"));
        theirs.feature_level = 2;
        let refusal = check(&mine, &theirs, "b", 3).unwrap_err().to_string();
        assert!(
            refusal.contains("level 2") && refusal.contains("level 3"),
            "{refusal}"
        );
        theirs.feature_level = 4;
        assert_eq!(check(&mine, &theirs, "b", 3), Ok(()));
    }

    #[test]
    fn the_certificate_wins() {
        let refusal = check(&hello("a"), &hello("b"), "c", 0).unwrap_err();
        let status = Status::from(refusal);
        assert_eq!(status.code(), tonic::Code::PermissionDenied);
        assert!(status.message().contains("'b'") && status.message().contains("'c'"));
    }
}
