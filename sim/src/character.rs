//! What kind of universe a seed names: network, agents, devices, configuration.

use crate::{network, rng::Rng};
use crmd_core::settings::Settings;

/// Everything about a universe that is decided before it begins.
#[derive(Clone, Debug)]
pub(crate) struct Universe {
    /// How many nodes.
    pub nodes: usize,
    /// How many primitives besides the fence device.
    pub resources: usize,
    /// The wires.
    pub network: network::Character,
    /// Agents that fail or hang, each in a thousand actions.
    pub agent_fails_permille: u64,
    /// See above.
    pub agent_hangs_permille: u64,
    /// Fencing operations that fail, in a thousand.
    pub fencing_fails_permille: u64,
    /// How long cutting off, verifying and reporting takes at most.
    pub fencing_ms: u64,
    /// How long a boot takes at most.
    pub boot_ms: u64,
    /// Between a daemon's end and its start by the supervisor, at most.
    pub restart_ms: u64,
    /// Entries after which a node makes a snapshot.
    pub snapshot_every: u64,
    /// Mean time between two requests of the clients.
    pub client_every_ms: u64,
    /// `no-quorum-policy`.
    pub no_quorum_policy: &'static str,
    /// `resource-stickiness`.
    pub stickiness: u32,
    /// How many faults.
    pub faults: u64,
    /// How long they last together.
    pub faults_ms: u64,
}

impl Universe {
    /// The universe of this seed; `nodes` are three or five in turn if not given.
    pub(crate) fn new(seed: u64, nodes: Option<usize>, rng: &mut Rng) -> Self {
        let usual = if seed.is_multiple_of(2) { 3 } else { 5 };
        let calm = rng.chance(250);
        let mut permille = |most: u64| if calm { 0 } else { rng.below(most + 1) };
        let (agent_fails_permille, agent_hangs_permille) = (permille(20), permille(6));
        let fencing_fails_permille = permille(250);
        let network = network::Character {
            base_ms: rng.range(0, 2),
            jitter_ms: rng.range(1, 30),
            loss_permille: if calm { 0 } else { rng.below(30) },
            twice_permille: if calm { 0 } else { rng.below(20) },
            user_timeout_ms: rng.range(600, 2_500),
        };
        Self {
            nodes: nodes.unwrap_or(usual),
            resources: rng.range(3, 4) as usize,
            network,
            agent_fails_permille,
            agent_hangs_permille,
            fencing_fails_permille,
            fencing_ms: rng.range(300, 3_000),
            boot_ms: rng.range(2_000, 7_000),
            restart_ms: rng.range(100, 1_500),
            snapshot_every: rng.range(8, 60),
            client_every_ms: rng.range(800, 4_000),
            no_quorum_policy: if rng.chance(700) { "stop" } else { "freeze" },
            stickiness: if rng.chance(500) { 100 } else { 0 },
            faults: if rng.chance(800) {
                rng.range(3, 7)
            } else {
                rng.range(8, 20)
            },
            faults_ms: rng.range(60_000, 75_000),
        }
    }

    /// The cores' settings: fewer beats than in a daemon, so that a universe takes less work.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            heartbeat_interval_ms: 300,
            failure_timeout_ms: 2_500,
            daemon_grace_ms: 6_000,
            lease_ms: 2_000,
            quorum_grace_ms: 3_000,
            stop_budget_ms: 8_000,
            startup_grace_ms: 5_000,
            probe_deadline_ms: 250,
            order_resend_ms: 1_000,
            request_timeout_ms: 10_000,
            ..Settings::default()
        }
    }
}

/// Name of a node.
pub(crate) fn node_name(index: usize) -> String {
    format!("n{}", index + 1)
}
