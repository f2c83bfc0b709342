use super::*;

const EXAMPLE: &str = include_str!("../../../examples/systole.toml");

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("systole.toml"))
}

fn refused(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn the_example_shows_every_default() {
    let config = parse(EXAMPLE).unwrap();
    assert_eq!(config.timing, Timing::default());
    assert_eq!(config.ports, Ports::default());
    assert_eq!(config.paths, Paths::default());
    assert_eq!(config.alerts, Alerts::default());
    let every = toml::Table::try_from(Timing::default()).unwrap();
    let shown: toml::Table = EXAMPLE.parse().unwrap();
    let shown = shown["timing"].as_table().unwrap();
    assert_eq!(
        every.keys().collect::<Vec<_>>(),
        shown.keys().collect::<Vec<_>>()
    );
}

#[test]
fn every_timeout_of_the_example_is_explained() {
    let timing = EXAMPLE.split("[timing]").nth(1).unwrap();
    let mut explained = false;
    for line in timing.lines().map(str::trim) {
        if line.contains('=') && !line.starts_with('#') {
            assert!(explained, "no comment above: {line}");
            explained = false;
        } else {
            explained = line.starts_with('#');
        }
    }
}

#[test]
fn metrics_are_off_unless_asked_for() {
    assert_eq!(parse(EXAMPLE).unwrap().metrics, None);
    let with = |table: &str| parse(&format!("{EXAMPLE}\n[metrics]\n{table}"));
    let metrics = with(r#"listen = "127.0.0.1:9664""#)
        .unwrap()
        .metrics
        .unwrap();
    assert!(metrics.listen.ip().is_loopback());
    assert_eq!(metrics.request_timeout_ms, 5_000);
    assert_eq!(metrics.connections, 4);
    for wrong in ["", "listen = \"127.0.0.1\"", "listen = \"127.0.0.1:0\""] {
        let error = with(wrong).unwrap_err().to_string();
        assert!(error.contains("metrics"), "{error}");
    }
}

#[test]
fn survives_a_round_trip() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("systole.toml");
    let mut config = parse(EXAMPLE).unwrap();
    config.timing.lease_ms = 1100;
    config.node.bind = vec!["0.0.0.0".parse().unwrap()];
    config.save(&path).unwrap();
    assert_eq!(Config::load(&path).unwrap(), config);
}

#[test]
fn missing_file_says_what_to_do() {
    let error = Config::load(Path::new("/nowhere/systole.toml")).unwrap_err();
    assert!(
        error.to_string().contains("systole cluster init"),
        "{error}"
    );
}

#[test]
fn errors_name_file_line_key_and_what_would_be_right() {
    let head = "[cluster]\nname = \"a\"\nid = \"b\"\n[node]\nname = \"n1\"\nraft_id = 1\n";
    let good = format!("{head}addresses = [\"192.0.2.1\"]\n");
    parse(&good).unwrap();
    let cases = [
        (
            format!("{head}addresses = [\"here\"]\n"),
            &["systole.toml:7:", "node.addresses", "IP address"][..],
        ),
        (
            format!("{head}addresses = []\n"),
            &["systole.toml:7:", "node.addresses", "192.0.2.1"],
        ),
        (
            format!("{good}[timing]\nlease = 3\n"),
            &["systole.toml:9:", "timing.lease", "lease_ms"],
        ),
        (
            format!("{good}[timing]\n\nfailure_timeout_ms = 300\n"),
            &["systole.toml:10:", "timing.failure_timeout_ms", "600"],
        ),
        (
            format!("{good}[ports]\nstonithd = 5560\n"),
            &["systole.toml:9:", "ports.stonithd", "5560"],
        ),
        (
            format!("{good}[ports]\ncrmd = 99999\n"),
            &["systole.toml:9:", "ports.crmd", "99999"],
        ),
        (
            format!("{good}[[members]]\nnode = \"n1\"\nraft_id = 4\naddresses = [\"::1\"]\n"),
            &["systole.toml:10:", "members.raft_id", "node.raft_id 1"],
        ),
        (
            good.replace("\"n1\"", "\"n 1\""),
            &["systole.toml:5:", "node.name", "letters, digits"],
        ),
        (good.replace("[node]", "[node"), &["systole.toml:4"]),
    ];
    for (text, expected) in cases {
        let error = refused(&text);
        for part in expected {
            assert!(error.contains(part), "'{part}' is missing in: {error}");
        }
    }
}
