//! `systole explain` on small clusters: what it says, and that what it proposes really changes the outcome.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use expect_test::expect_file;
use serde_json::Value;

/// A cluster, the question, and what the answer must name.
struct Case {
    name: &'static str,
    resource: &'static str,
    on: Option<&'static str>,
    /// Whether it is asked why it is (not) promoted.
    promoted: bool,
    /// Scores by node.
    scores: &'static [(&'static str, &'static str)],
    /// Kind of the reason that blocks it, where (or everywhere), and the id it names.
    blocker: (&'static str, Option<&'static str>, Option<&'static str>),
    /// The first remedy, as suppositions.
    remedy: &'static [&'static str],
    /// Where it is then.
    after: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        name: "location-rule",
        resource: "web",
        on: Some("beta"),
        promoted: false,
        scores: &[("alpha", "0"), ("beta", "-INFINITY")],
        blocker: ("location", Some("beta"), Some("web-needs-a-fast-disk")),
        remedy: &["without web-needs-a-fast-disk"],
        after: &["beta"],
    },
    Case {
        name: "ban-for-a-while",
        resource: "web",
        on: Some("alpha"),
        promoted: false,
        scores: &[("alpha", "-INFINITY"), ("beta", "-INFINITY")],
        blocker: ("location", Some("alpha"), Some("cli-ban-web-on-alpha")),
        remedy: &["without cli-ban-web-on-alpha"],
        after: &["alpha"],
    },
    Case {
        name: "migration-threshold",
        resource: "web",
        on: Some("alpha"),
        promoted: false,
        scores: &[("alpha", "-INFINITY"), ("beta", "0")],
        blocker: ("fail-count", Some("alpha"), Some("fail-count-web")),
        remedy: &["forget-failures web alpha"],
        after: &["alpha"],
    },
    Case {
        name: "anti-colocation",
        resource: "cache",
        on: None,
        promoted: false,
        scores: &[("alpha", "-INFINITY"), ("beta", "0")],
        blocker: ("colocation", Some("alpha"), Some("cache-not-with-db")),
        remedy: &["without cache-not-with-db"],
        after: &["alpha"],
    },
    Case {
        name: "colocation-with-stopped",
        resource: "web",
        on: None,
        promoted: false,
        scores: &[("alpha", "-INFINITY"), ("beta", "-INFINITY")],
        blocker: ("colocation", Some("beta"), Some("web-with-db")),
        remedy: &["meta db target-role=Started"],
        after: &["alpha"],
    },
    Case {
        name: "stickiness",
        resource: "web",
        on: Some("beta"),
        promoted: false,
        scores: &[("alpha", "200"), ("beta", "100")],
        blocker: ("lower-score", Some("beta"), None),
        remedy: &["move web beta"],
        after: &["beta"],
    },
    Case {
        name: "standby",
        resource: "web",
        on: None,
        promoted: false,
        scores: &[("alpha", "0"), ("beta", "-INFINITY")],
        blocker: ("node-standby", Some("alpha"), None),
        remedy: &["unstandby alpha"],
        after: &["alpha"],
    },
    Case {
        name: "ordering",
        resource: "web",
        on: None,
        promoted: false,
        scores: &[("alpha", "0"), ("beta", "0")],
        blocker: ("ordering", None, Some("db-then-web")),
        remedy: &["without db-needs-storage"],
        after: &["beta"],
    },
    Case {
        name: "group-stopped",
        resource: "web",
        on: None,
        promoted: false,
        scores: &[("alpha", "-INFINITY"), ("beta", "-INFINITY")],
        blocker: ("target-role", None, Some("target-role")),
        remedy: &["meta shop target-role=Started"],
        after: &["alpha"],
    },
    Case {
        name: "too-little-room",
        resource: "web",
        on: None,
        promoted: false,
        scores: &[("alpha", "-INFINITY"), ("beta", "-INFINITY")],
        blocker: ("utilization", Some("beta"), None),
        remedy: &["capacity alpha memory=4096"],
        after: &["alpha"],
    },
    Case {
        name: "ticket",
        resource: "web",
        on: None,
        promoted: false,
        scores: &[("alpha", "-INFINITY"), ("beta", "-INFINITY")],
        blocker: ("ticket", None, Some("web-needs-site")),
        remedy: &["ticket-grant site"],
        after: &["alpha"],
    },
    Case {
        name: "no-quorum",
        resource: "web",
        on: None,
        promoted: false,
        scores: &[("alpha", "0"), ("beta", "0"), ("gamma", "0")],
        blocker: ("no-quorum", None, Some("no-quorum-policy")),
        remedy: &["node-online beta", "quorum yes"],
        after: &["alpha"],
    },
    Case {
        name: "stop-failed",
        resource: "db",
        on: Some("beta"),
        promoted: false,
        scores: &[("alpha", "-INFINITY"), ("beta", "100")],
        blocker: ("failure-block", None, None),
        remedy: &["cleanup db alpha"],
        after: &["beta"],
    },
    Case {
        name: "clone-max",
        resource: "cache-clone",
        on: Some("gamma"),
        promoted: false,
        scores: &[("alpha", "1"), ("beta", "1"), ("gamma", "-INFINITY")],
        blocker: ("clone-max", Some("gamma"), Some("clone-max")),
        remedy: &["meta cache-clone clone-max=3"],
        after: &["alpha", "beta", "gamma"],
    },
    Case {
        name: "two-things",
        resource: "web",
        on: None,
        promoted: false,
        scores: &[("alpha", "0"), ("beta", "-INFINITY")],
        blocker: ("location", Some("beta"), Some("web-not-on-beta")),
        remedy: &["unstandby alpha", "capacity alpha memory=4096"],
        after: &["alpha"],
    },
    Case {
        name: "fencing",
        resource: "web",
        on: None,
        promoted: false,
        scores: &[("alpha", "0"), ("beta", "0")],
        blocker: ("node-unclean", Some("alpha"), None),
        remedy: &["fenced alpha"],
        after: &["beta"],
    },
    Case {
        name: "promotable",
        resource: "db-clone",
        on: Some("beta"),
        promoted: true,
        scores: &[("alpha", "21"), ("beta", "11"), ("gamma", "1")],
        blocker: ("promoted-max", Some("beta"), Some("promoted-max")),
        remedy: &["promote db-clone beta"],
        after: &["alpha", "beta", "gamma"],
    },
    Case {
        name: "health",
        resource: "web",
        on: Some("alpha"),
        promoted: false,
        scores: &[("alpha", "-INFINITY"), ("beta", "0")],
        blocker: ("node-health", Some("alpha"), Some("node-health-strategy")),
        remedy: &["no-attribute alpha #health-disk"],
        after: &["alpha"],
    },
    Case {
        name: "unmanaged",
        resource: "web",
        on: None,
        promoted: false,
        scores: &[("alpha", "0"), ("beta", "0")],
        blocker: ("unmanaged", None, Some("is-managed")),
        remedy: &["meta web is-managed=true"],
        after: &["alpha"],
    },
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/explain")
}

fn document(name: &str) -> PathBuf {
    folder().join(format!("{name}.xml"))
}

/// Runs a program of ours; exit code and output.
fn run(tool: &str, args: &[&str], cib: &Path) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_systole"))
        .arg(tool)
        .args(args)
        .env_clear()
        .env("TZ", "UTC")
        .env("CIB_file", cib)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), told)
}

impl Case {
    fn question(&self) -> Vec<&'static str> {
        let mut args = vec![self.resource];
        args.extend(self.on.iter().flat_map(|node| ["--on", node]));
        args.extend(self.promoted.then_some("--promoted"));
        args
    }

    fn ask(&self, cib: &Path) -> Value {
        let mut args = self.question();
        args.push("--json");
        let (code, told) = run("explain", &args, cib);
        assert_eq!(code, Some(0), "{}: {told}", self.name);
        serde_json::from_str(&told).unwrap()
    }
}

fn texts(value: &Value, key: &str) -> Vec<String> {
    let all = value.as_array().into_iter().flatten();
    all.filter_map(|v| v[key].as_str().map(str::to_owned))
        .collect()
}

#[test]
fn answers_for_people() {
    for case in CASES {
        let (code, told) = run("explain", &case.question(), &document(case.name));
        assert_eq!(code, Some(0), "{}", case.name);
        expect_file![folder().join(format!("{}.txt", case.name))].assert_eq(&told);
    }
}

#[test]
fn answers_name_ids_nodes_scores_and_the_blocker() {
    for case in CASES {
        let answer = case.ask(&document(case.name));
        let nodes = answer["nodes"].as_array().unwrap();
        let scores: Vec<(&str, &str)> = nodes
            .iter()
            .map(|n| (n["node"].as_str().unwrap(), n["score"].as_str().unwrap()))
            .collect();
        assert_eq!(scores, case.scores, "{}", case.name);
        let (why, node, id) = case.blocker;
        let blockers = match node {
            None => &answer["blockers"],
            Some(node) => {
                let rows = if case.promoted { "promotion" } else { "nodes" };
                let rows = answer[rows].as_array().unwrap();
                &rows.iter().find(|n| n["node"] == node).unwrap()["blockers"]
            }
        };
        let found = blockers
            .as_array()
            .unwrap()
            .iter()
            .find(|b| b["why"] == why);
        let found = found.unwrap_or_else(|| panic!("{}: {blockers:#}", case.name));
        assert_eq!(found["id"].as_str(), id, "{}", case.name);
        let first = &answer["remedies"][0];
        assert_eq!(texts(&first["steps"], "if"), case.remedy, "{}", case.name);
        assert_eq!(texts(&first["after"], "node"), case.after, "{}", case.name);
    }
}

/// Carries a remedy out: with the commands it names if they all work on a file, as a supposition otherwise.
fn carry_out(remedy: &Value, cib: &Path) -> bool {
    let steps = remedy["steps"].as_array().unwrap();
    let on_file = steps.iter().all(|step| step["works_on_file"] == true);
    if on_file {
        for step in steps {
            let words: Vec<&str> = step["command"]
                .as_array()
                .unwrap()
                .iter()
                .map(|word| word.as_str().unwrap())
                .collect();
            let (code, told) = run(words[0], &words[1..], cib);
            assert_eq!(code, Some(0), "{words:?}: {told}");
        }
    } else {
        let mut args: Vec<String> = Vec::new();
        for supposed in texts(&remedy["steps"], "if") {
            args.extend(["--if".to_owned(), supposed]);
        }
        let file = cib.display().to_string();
        args.extend(["--save-input".to_owned(), file.clone()]);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let (code, told) = run("explain", &args, cib);
        assert_eq!(code, Some(0), "{told}");
    }
    on_file
}

/// How a resource is after the transition, as `crm_simulate` tells it.
fn simulated(cib: &Path, resource: &str) -> String {
    let file = cib.display().to_string();
    let (code, told) = run("crm_simulate", &["-x", &file, "-S"], cib);
    assert_eq!(code, Some(0), "{told}");
    let (_, revised) = told.split_once("Revised Cluster Status:").unwrap();
    let name = resource.trim_end_matches("-clone");
    let mut lines = revised.lines().skip_while(|line| !line.contains(name));
    let own = lines.next().unwrap_or_default();
    if own.contains("Clone Set") {
        let below: Vec<&str> = lines.take(2).collect();
        below.join(" ")
    } else {
        own.to_owned()
    }
}

#[test]
fn every_remedy_changes_the_outcome() {
    let mut with_commands = 0;
    for case in CASES {
        let before = document(case.name);
        let answer = case.ask(&before);
        let remedies = answer["remedies"].as_array().unwrap();
        assert!(!remedies.is_empty(), "{}", case.name);
        for remedy in remedies {
            let dir = tempfile::tempdir().unwrap();
            let copy = dir.path().join("cib.xml");
            std::fs::copy(&before, &copy).unwrap();
            with_commands += usize::from(carry_out(remedy, &copy));
            let after = case.ask(&copy);
            let decided = &after["decided"];
            let expected = texts(&remedy["after"], "node");
            assert_eq!(
                texts(decided, "node"),
                expected,
                "{}: {remedy:#}",
                case.name
            );
            let places = |all: &Value| (texts(all, "node"), texts(all, "role"));
            let changed = places(decided) != places(&answer["decided"]);
            let waited = answer["waits"] != after["waits"];
            assert!(changed || waited, "{}: {remedy:#}", case.name);
            // What explains itself is not the only witness.
            let (was, is) = (
                simulated(&before, case.resource),
                simulated(&copy, case.resource),
            );
            assert!(was != is || waited, "{}: {is}", case.name);
            for node in &expected {
                assert!(is.contains(node.as_str()), "{}: {is}", case.name);
            }
        }
    }
    assert!(
        with_commands >= 15,
        "only {with_commands} remedies were typed"
    );
}

#[test]
fn suppositions() {
    let asked: &[(&str, &str, &[&str])] = &[
        (
            "stickiness",
            "if-node-offline",
            &["web", "--if", "node-offline alpha"],
        ),
        (
            "migration-threshold",
            "if-it-fails-again",
            &[
                "web",
                "--if",
                "resource-fail web beta",
                "--if",
                "meta web migration-threshold=1",
            ],
        ),
        (
            "ticket",
            "if-granted",
            &["web", "--if", "ticket-grant site"],
        ),
        (
            "anti-colocation",
            "if-standby",
            &["db", "--if", "standby alpha", "--if", "unstandby beta"],
        ),
        ("ordering", "everything", &[]),
        (
            "promotable",
            "promoted-there",
            &["db-clone", "--on", "alpha", "--promoted"],
        ),
    ];
    for (name, golden, args) in asked {
        let (code, told) = run("explain", args, &document(name));
        assert_eq!(code, Some(0), "{name}: {told}");
        expect_file![folder().join(format!("{golden}.txt"))].assert_eq(&told);
    }
    // Supposing changes nothing but the copy.
    let text = std::fs::read_to_string(document("stickiness")).unwrap();
    assert!(!text.contains("crm_simulate"));
}

#[test]
fn what_is_asked_wrongly_is_told() {
    let cib = document("standby");
    for (args, code) in [
        (&["nothing"][..], 105),
        (&["web", "--on", "delta"], 105),
        (&["web", "--if", "explode alpha"], 64),
        (&["web", "--if", "node-offline delta"], 105),
        (&["web", "--if", "without nothing"], 105),
        (&["--on", "alpha"], 64),
        (&["web", "-t", "yesterday-ish"], 64),
    ] {
        let (got, told) = run("explain", args, &cib);
        assert_eq!(got, Some(code), "{args:?}: {told}");
    }
}

#[test]
fn for_programs_and_in_the_field_s_tool() {
    let cib = document("standby");
    let (_, told) = run("explain", &["web", "--output-as=xml"], &cib);
    let result = cib::Element::parse(&told).unwrap();
    let explanation = result.child("explanation").unwrap();
    assert_eq!(explanation.attr("resource"), Some("web"));
    let row = explanation.children_named("node").next().unwrap();
    let blocker = row.child("blocker").unwrap();
    assert_eq!(
        (row.attr("name"), blocker.attr("why")),
        (Some("alpha"), Some("node-standby"))
    );
    let remedy = explanation.child("remedy").unwrap();
    let step = remedy.child("step").unwrap();
    assert_eq!(step.attr("command"), Some("crm_standby -N alpha -D"));

    let answer = CASES[CASES.len() - 3].ask(&document("promotable"));
    let rows = answer["promotion"].as_array().unwrap();
    let told = |row: &Value| {
        let parts = row["contributions"].as_array().unwrap().iter();
        let parts = parts.map(|p| {
            let id = p["id"].as_str().unwrap_or_default();
            format!("{} {id}", p["amount"].as_str().unwrap())
        });
        let score = row["score"].as_str().unwrap();
        let parts = parts.collect::<Vec<_>>().join(", ");
        format!("{}: {score} = {parts}", row["node"].as_str().unwrap())
    };
    let told: Vec<String> = rows.iter().map(told).collect();
    assert_eq!(told[0], "alpha: 20 = 20 master-db");
    assert_eq!(told[1], "beta: 15 = 10 master-db, 5 db-promoted-on-beta");

    let (_, plain) = run("crm_resource", &["--why", "-r", "web"], &cib);
    assert_eq!(plain, "Resource web is not running\n");
    let (_, more) = run("crm_resource", &["--why", "-r", "web", "-V"], &cib);
    assert!(more.starts_with(&plain), "{more}");
    assert!(
        more.contains("web-not-on-beta: location constraint"),
        "{more}"
    );
    assert!(more.contains("crm_standby -N alpha -D"), "{more}");
}
