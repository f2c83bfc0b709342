use super::*;
use expect_test::{Expect, expect};
use std::path::Path;

const SECTIONS: [&str; 4] = ["crm_config", "nodes", "resources", "constraints"];

/// A document of these sections' contents (and further ones), every element on its own line.
fn doc(schema: &str, contents: &[(&str, &str)]) -> Element {
    let mut text = format!(
        "<cib validate-with='{schema}' admin_epoch='0' epoch='0' num_updates='0'>\n<configuration>\n"
    );
    let of = |name: &str| {
        contents
            .iter()
            .find(|(n, _)| *n == name)
            .map_or("", |c| c.1)
    };
    for name in SECTIONS {
        text += &format!("<{name}>{}</{name}>\n", of(name));
    }
    for (name, content) in contents.iter().filter(|c| !SECTIONS.contains(&c.0)) {
        text += &format!("<{name}>{content}</{name}>\n");
    }
    text += "</configuration>\n<status/>\n</cib>\n";
    Element::parse(&text).unwrap()
}

fn problems(document: &Element, expected: Expect) {
    let lines: Vec<String> = check(document)
        .iter()
        .map(|p| format!("{:?}: {p}\n", p.severity))
        .collect();
    expected.assert_eq(&lines.concat());
}

#[test]
fn names_of_schemas() {
    assert_eq!(
        SchemaVersion::from_name("pacemaker-3.9"),
        Some(SchemaVersion(3, 9))
    );
    for name in [
        "pacemaker-9999.0",
        "pacemaker-3.11",
        "pacemaker-1.1",
        "pacemaker-3.09",
        "none",
        "",
    ] {
        assert_eq!(SchemaVersion::from_name(name), None, "{name}");
    }
}

#[test]
fn a_good_document_has_no_problems() {
    let document = doc(
        "pacemaker-4.0",
        &[
            (
                "crm_config",
                "<cluster_property_set id='p'><nvpair id='p1' name='x' value='y'/></cluster_property_set>",
            ),
            ("nodes", "<node id='1' uname='a'/>"),
            (
                "resources",
                "<group id='g'><primitive id='r' class='ocf' provider='p' type='t'><operations>\
               <op id='o' name='monitor' interval='10s' role='Promoted'/></operations></primitive></group>",
            ),
            (
                "constraints",
                "<rsc_location id='l' rsc='g' node='a' score='-INFINITY'/>",
            ),
        ],
    );
    problems(&document, expect![""]);
}

#[test]
fn everything_wrong_is_said_with_line_id_and_what_would_be_right() {
    let document = doc(
        "pacemaker-3.9",
        &[
            ("nodes", "<node id='1'/>"),
            (
                "resources",
                "\n<primitive id='a b' class='ocf' type='t'/>\n<primitive id='a' class='foo' type='t' x='1'/>\n\
               <group id='a'/>\n<clone id='c'><nvpair/></clone>",
            ),
            (
                "constraints",
                "\n<rsc_location id='l' rsc='nope' node='n' score='ten'/>\n\
               <rsc_order id='o' first='a' then='a' kind='Sometimes'/>\n<rsc_colocation id='x' rsc='a'/>",
            ),
            ("nonsense", ""),
        ],
    );
    problems(
        &document,
        expect![[r#"
        Error: line 4, <node id="1">: the attribute 'uname' is missing; add uname=: any text
        Error: line 6, <primitive id="a b">: 'a b' is no value for the attribute 'id'; a word that begins with a letter or '_', followed by letters, digits, '.', '-' and '_'
        Error: line 6, <primitive id="a b">: the attribute 'provider' is missing; agents of class ocf have one: provider="heartbeat", for example
        Error: line 7, <primitive id="a">: 'foo' is no value for the attribute 'class'; one of ocf, lsb, stonith, systemd, service, heartbeat, upstart, nagios
        Error: line 7, <primitive id="a">: there is no attribute 'x' in pacemaker-3.9; allowed are id, description, class, provider, type, template
        Error: line 8, <group id="a">: the id 'a' is used already by <primitive> in line 7; every id may be used once only: choose another
        Error: line 8, <group id="a">: there is no <primitive> in it; one is needed
        Error: line 9, <nvpair id="c">: <nvpair> is not allowed in <clone> in pacemaker-3.9; allowed are meta_attributes, instance_attributes, primitive, group
        Error: line 9, <clone id="c">: there are 0 resources in it; exactly one <primitive> or <group> is cloned
        Error: line 11, <rsc_location id="l">: 'ten' is no value for the attribute 'score'; a whole number, INFINITY or -INFINITY
        Error: line 11, <rsc_location id="l">: 'nope', which 'rsc' names, does not exist; name the id of an element of this document
        Error: line 12, <rsc_order id="o">: 'Sometimes' is no value for the attribute 'kind'; one of Optional, Mandatory, Serialize
        Error: line 13, <rsc_colocation id="x">: it does not say which resources, or says it more than once; give rsc= and with-rsc=, or <resource_set> elements
        Error: line 14, <nonsense>: <nonsense> is not allowed in <configuration> in pacemaker-3.9; allowed are crm_config, rsc_defaults, op_defaults, nodes, resources, constraints, acls, fencing-topology, tags, alerts
    "#]],
    );
}

#[test]
fn what_nobody_can_mean_is_a_warning() {
    let document = doc(
        "pacemaker-3.9",
        &[(
            "resources",
            "<primitive id='a' class='ocf' provider='p' type='t'>\n<meta_attributes id='m'>\
             <nvpair id='n' name='failure-timeout' value='a while'/></meta_attributes>\n<operations>\
             <op id='o1' name='monitor' interval='10s' timeout='soon'/>\n\
             <op id='o2' name='monitor' interval='10000ms'/></operations></primitive>",
        )],
    );
    problems(
        &document,
        expect![[r#"
        Warning: line 6, <nvpair id="n">: 'a while' is no time for 'failure-timeout'; write a number with a unit, like 30s, 5min or 500ms, or PT1M30S
        Warning: line 7, <op id="o1">: 'soon' is no time for 'timeout'; write a number with a unit, like 30s, 5min or 500ms, or PT1M30S
        Warning: line 8, <op id="o2">: it has the same name and interval as 'o1'; change its interval: one of the two is ignored
    "#]],
    );
    assert!(is_valid(&document));
}

#[test]
fn the_schema_itself() {
    problems(
        &doc("none", &[("nonsense", "")]),
        expect![[r#"
        Warning: line 1, <cib>: the schema check is switched off by validate-with="none"; switch it on: it prevents common mistakes
    "#]],
    );
    problems(
        &doc("pacemaker-9999.0", &[]),
        expect![[r#"
        Error: line 1, <cib>: the schema 'pacemaker-9999.0' of validate-with is not known; write pacemaker-4.0 or an older one
    "#]],
    );
    problems(
        &Element::parse("<cib/>").unwrap(),
        expect![[r#"
        Error: line 1, <cib>: it does not say which schema it follows; add validate-with="pacemaker-4.0"
    "#]],
    );
    problems(
        &Element::parse("<bic validate-with='pacemaker-4.0'/>").unwrap(),
        expect![[r#"
            Error: line 1, <bic>: the document is a <bic>; a configuration is a <cib>
        "#]],
    );
}

#[test]
fn things_come_and_go_with_versions() {
    let agent = "class='ocf' provider='p' type='t'";
    let master = format!("<master id='m'><primitive id='a' {agent}/></master>");
    let tagged = format!("<primitive id='a' {agent}/>");
    for (name, content, since, before) in [
        (
            "resources",
            master.as_str(),
            "pacemaker-1.0",
            Some("pacemaker-4.0"),
        ),
        (
            "tags",
            "<tag id='t'><obj_ref id='anything'/></tag>",
            "pacemaker-3.4",
            None,
        ),
        (
            "alerts",
            "<alert id='al' path='/x'/>",
            "pacemaker-2.5",
            None,
        ),
        (
            "resources",
            "<bundle id='b'><podman image='i'/></bundle>",
            "pacemaker-3.2",
            None,
        ),
    ] {
        let contents = [(name, content), ("resources", tagged.as_str())];
        for known in [
            (1, 2),
            (2, 0),
            (2, 5),
            (3, 0),
            (3, 2),
            (3, 4),
            (3, 9),
            (4, 0),
        ] {
            let version = SchemaVersion(known.0, known.1);
            let from = SchemaVersion::from_name(since).unwrap();
            let to = before.and_then(SchemaVersion::from_name);
            let expected = version >= from && to.is_none_or(|to| version < to);
            let document = doc(&version.to_string(), &contents);
            assert_eq!(is_valid(&document), expected, "{name} in {version}");
        }
    }
}

/// Recorded documents that the field's own check accepted. Those with a schema newer than
/// [`SchemaVersion::LATEST`] or none at all are not among them.
#[test]
fn recorded_documents_are_valid() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/pacemaker-scheduler/xml");
    let Ok(entries) = std::fs::read_dir(&dir) else {
        eprintln!("skipped: there is no {}", dir.display());
        return;
    };
    let mut count = 0;
    for entry in entries {
        let file = entry.unwrap().path();
        let document = Element::parse(&std::fs::read_to_string(&file).unwrap()).unwrap();
        let errors: Vec<_> = check(&document)
            .into_iter()
            .filter(|p| p.severity == Severity::Error)
            .collect();
        assert_eq!(errors, [], "{}", file.display());
        count += 1;
    }
    assert!(count > 500, "{count}");
}
