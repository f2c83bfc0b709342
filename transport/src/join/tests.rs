use super::*;
use crate::{
    config::{Cluster, Config, Node, Paths, Timing},
    identity::{Authority, Identity, KeyRequest, files},
    tls::PeerListener,
};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
};
use tonic::transport::Server;

/// A cluster's memory of tokens, as the core keeps it: good, then used.
#[derive(Default)]
struct Tokens(Mutex<BTreeMap<String, bool>>, Mutex<Vec<String>>);

#[tonic::async_trait]
impl Admission for Tokens {
    async fn remove(&self, node: &str) -> Result<(), String> {
        if node == "busy" {
            return Err("busy is still running".into());
        }
        self.1.lock().unwrap().push(node.to_owned());
        Ok(())
    }

    async fn admit(&self, applicant: Applicant) -> Result<Admitted, String> {
        let mut tokens = self.0.lock().unwrap();
        match tokens.get_mut(&applicant.digest) {
            None => Err("the token is unknown".into()),
            Some(true) => Err("the token was used already".into()),
            Some(used) => {
                *used = true;
                let member = Member {
                    node: applicant.node,
                    raft_id: 7,
                    addresses: applicant.addresses,
                    ports: applicant.ports,
                };
                Ok(Admitted {
                    raft_id: 7,
                    members: vec![member],
                })
            }
        }
    }
}

struct Cluster1 {
    dir: tempfile::TempDir,
    address: SocketAddr,
    fingerprint: String,
    tokens: Arc<Tokens>,
}

impl Cluster1 {
    fn start(feature_level: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::create_on("prod", "c1", "n1").unwrap();
        authority.save(dir.path()).unwrap();
        let request = KeyRequest::new("n1").unwrap();
        let certificate = authority.sign(&request.csr_pem, "n1").unwrap();
        let ca = authority.certificate_pem();
        request.save(dir.path(), &certificate, ca).unwrap();
        let identity = Identity::load(dir.path(), "n1", "c1").unwrap();
        let any = ["127.0.0.1:0".parse().unwrap()];
        let incoming = PeerListener::bind_join(&any, &identity, &Timing::default()).unwrap();
        let address = incoming.addresses()[0];
        let tokens = Arc::new(Tokens::default());
        let config = config(dir.path());
        let service = JoinService::new(&config, "0.1.0", feature_level, tokens.clone());
        let server = Server::builder().add_service(service.server());
        tokio::spawn(server.serve_with_incoming(incoming));
        Self {
            dir,
            address,
            fingerprint: authority.fingerprint(),
            tokens,
        }
    }

    fn token(&self) -> Token {
        let token = Token::generate(&self.fingerprint, "prod");
        self.tokens.0.lock().unwrap().insert(token.digest(), false);
        token
    }

    async fn refuses(&self, token: &Token, newcomer: &Newcomer) -> String {
        let joined = join(self.address, token, newcomer, &Timing::default()).await;
        joined.err().expect("must be refused").to_string()
    }
}

fn config(dir: &Path) -> Config {
    Config {
        cluster: Cluster {
            name: "prod".into(),
            id: "c1".into(),
        },
        node: Node {
            name: "n1".into(),
            raft_id: 1,
            addresses: vec!["127.0.0.1".parse().unwrap()],
            bind: vec![],
        },
        ports: Ports::default(),
        paths: Paths {
            identity_dir: dir.into(),
            ..Paths::default()
        },
        members: vec![],
        timing: Timing::default(),
        alerts: Default::default(),
        metrics: None,
    }
}

fn newcomer() -> Newcomer {
    Newcomer {
        node: "n2".into(),
        addresses: vec!["127.0.0.2".parse().unwrap()],
        ports: Ports::default(),
        version: "0.1.0".into(),
        feature_level: 1,
    }
}

#[tokio::test]
async fn a_token_works_once() {
    let cluster = Cluster1::start(1);
    let token = cluster.token();
    let joined = join(cluster.address, &token, &newcomer(), &Timing::default())
        .await
        .unwrap();
    assert_eq!((joined.raft_id, joined.members.len()), (7, 1));
    assert_eq!(joined.members[0].addresses, newcomer().addresses);
    let dir = tempfile::tempdir().unwrap();
    joined.save_identity(dir.path()).unwrap();
    Identity::load(dir.path(), "n2", "c1").unwrap();

    let again = cluster.refuses(&token, &newcomer()).await;
    assert!(again.contains("used already"), "{again}");
    let invented = Token::generate(&cluster.fingerprint, "prod");
    let unknown = cluster.refuses(&invented, &newcomer()).await;
    assert!(unknown.contains("unknown"), "{unknown}");
}

#[tokio::test]
async fn a_refusal_before_admission_does_not_use_the_token() {
    let cluster = Cluster1::start(3);
    let token = cluster.token();
    let old = cluster.refuses(&token, &newcomer()).await;
    assert!(old.contains("level 1") && old.contains("level 3"), "{old}");
    assert!(old.matches("0.1.0").count() == 2, "both versions: {old}");
    let mut bad = newcomer();
    bad.feature_level = 3;
    bad.node = "n 2".into();
    let name = cluster.refuses(&token, &bad).await;
    assert!(name.contains("letters, digits"), "{name}");
    bad.node = "n2".into();
    join(cluster.address, &token, &bad, &Timing::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_token_of_another_cluster_is_not_shown_to_this_one() {
    let (ours, other) = (Cluster1::start(1), Cluster1::start(1));
    let token = other.token();
    let error = ours.refuses(&token, &newcomer()).await;
    assert!(
        error.contains("does not belong to cluster 'prod'"),
        "{error}"
    );
}

#[tokio::test]
async fn without_the_authoritys_key_the_right_member_is_named() {
    let cluster = Cluster1::start(1);
    let token = cluster.token();
    std::fs::remove_file(cluster.dir.path().join(files::CA_KEY)).unwrap();
    let error = cluster.refuses(&token, &newcomer()).await;
    assert!(
        error.contains("CA key") && error.contains("('n1')"),
        "{error}"
    );
}

#[tokio::test]
async fn another_protocol_names_both_versions() {
    let cluster = Cluster1::start(1);
    let service = JoinService::new(
        &config(cluster.dir.path()),
        "0.1.0",
        1,
        cluster.tokens.clone(),
    );
    let request = wire::JoinRequest {
        node: "n2".into(),
        version: "9.0.0".into(),
        protocol: 9,
        ..wire::JoinRequest::default()
    };
    let text = service.check_versions(&request).unwrap_err();
    for part in ["9.0.0", "protocol 9", "0.1.0", "protocol 1"] {
        assert!(text.message().contains(part), "{text}");
    }
}

#[tokio::test]
async fn a_node_has_itself_removed_and_nobody_else() {
    let cluster = Cluster1::start(1);
    let timing = Timing::default();
    let authority = Authority::load(cluster.dir.path()).unwrap().unwrap();
    let n2 = crate::identity::tests::identity(&authority, "n2");
    leave(cluster.address, "n1", &n2, &timing).await.unwrap();
    assert_eq!(*cluster.tokens.1.lock().unwrap(), ["n2"]);

    let busy = crate::identity::tests::identity(&authority, "busy");
    let error = leave(cluster.address, "n1", &busy, &timing)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("still running"), "{error}");

    let stranger = crate::tls::pinned_channel(cluster.address, &cluster.fingerprint, &timing);
    let mut client = proto::join::join_client::JoinClient::new(stranger.await.unwrap());
    let refusal = client.leave(wire::LeaveRequest {}).await.unwrap_err();
    assert_eq!(refusal.code(), tonic::Code::Unauthenticated);
    assert_eq!(cluster.tokens.1.lock().unwrap().len(), 1);
}

#[test]
fn a_damaged_token_is_recognised() {
    let text = Token::generate("ab", "prod").to_string();
    assert!(text.parse::<Token>().is_ok());
    assert!(format!("  {text}\n").parse::<Token>().is_ok());
    for bad in [
        "",
        "hello",
        "SYSTOLE1.",
        &text[..text.len() - 30],
        &text[1..],
    ] {
        let error = bad.parse::<Token>().unwrap_err().to_string();
        assert!(error.contains("systole cluster token"), "{error}");
    }
}
