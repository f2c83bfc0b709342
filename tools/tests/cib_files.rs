//! `cibadmin`, `crm_verify` and `crm_diff` on files, as people and scripts call them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

const DOCUMENT: &str = r#"<cib crm_feature_set="3.20.2" validate-with="pacemaker-4.0" admin_epoch="0" epoch="5" num_updates="2">
  <configuration>
    <crm_config>
      <cluster_property_set id="options">
        <nvpair id="options-fencing" name="fencing-enabled" value="false"/>
      </cluster_property_set>
    </crm_config>
    <nodes/>
    <resources>
      <primitive id="web" class="ocf" provider="systole" type="Dummy"/>
    </resources>
    <constraints/>
  </configuration>
  <status/>
</cib>
"#;

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("cib.xml"), DOCUMENT).unwrap();
        Self { dir }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn cib(&self) -> String {
        fs::read_to_string(self.file("cib.xml")).unwrap()
    }

    fn run(&self, tool: &str, args: &[&str]) -> Run {
        let output = Command::new(env!("CARGO_BIN_EXE_systole"))
            .arg(tool)
            .args(args)
            .env_clear()
            .env("CIB_file", self.file("cib.xml"))
            .current_dir(self.dir.path())
            .output()
            .unwrap();
        Run::new(&output)
    }
}

#[derive(Debug)]
struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Run {
    fn new(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout.clone()).unwrap(),
            err: String::from_utf8(output.stderr.clone()).unwrap(),
        }
    }
}

#[test]
fn queries() {
    let place = Place::new();
    let all = place.run("cibadmin", &["-Q"]);
    assert_eq!((all.code, all.out.as_str()), (Some(0), DOCUMENT));
    let part = place.run("cibadmin", &["-Q", "-o", "nodes"]);
    assert_eq!(part.out, "<nodes/>\n");
    let path = place.run("cibadmin", &["-Q", "-A", "//primitive", "-e"]);
    assert_eq!(
        path.out,
        "/cib/configuration/resources/primitive[@id='web']\n"
    );
    let none = place.run("cibadmin", &["-Q", "-A", "//clone"]);
    assert_eq!(none.code, Some(105), "{none:?}");
    let wrong = place.run("cibadmin", &["-Q", "-A", "//["]);
    assert_eq!(wrong.code, Some(64), "{wrong:?}");
}

#[test]
fn changes_are_written_and_counted() {
    let place = Place::new();
    let constraint = r#"<rsc_location id="l" rsc="web" node="n1" score="50"/>"#;
    let run = place.run("cibadmin", &["-C", "-o", "constraints", "-X", constraint]);
    assert_eq!(
        (run.code, run.out.as_str(), run.err.as_str()),
        (Some(0), "", "")
    );
    assert!(place.cib().contains(constraint));
    assert!(
        place.cib().contains(r#"epoch="6" num_updates="0""#),
        "{}",
        place.cib()
    );

    let again = place.run("cibadmin", &["-C", "-o", "constraints", "-X", constraint]);
    assert_eq!(again.code, Some(108), "{again:?}");
    assert!(again.out.starts_with("<failed>"));

    let gone = place.run("cibadmin", &["-D", "-X", r#"<rsc_location id="l"/>"#]);
    assert_eq!(gone.code, Some(0));
    assert!(place.cib().contains("<constraints/>"));
    // Deleting what is not there changes nothing, not even a counter.
    let before = place.cib();
    assert_eq!(
        place
            .run("cibadmin", &["-D", "-X", r#"<rsc_location id="l"/>"#])
            .code,
        Some(0)
    );
    assert_eq!(place.cib(), before);
}

#[test]
fn an_invalid_change_is_refused_with_line_id_and_reason() {
    let place = Place::new();
    for (args, reason) in [
        (
            [
                "-C",
                "-o",
                "constraints",
                "-X",
                r#"<rsc_location id="l" rsc="nope" node="n" score="1"/>"#,
            ],
            "'nope', which 'rsc' names, does not exist",
        ),
        (
            [
                "-M",
                "-o",
                "resources",
                "-X",
                r#"<primitive id="web" class="foo"/>"#,
            ],
            "'foo' is no value for the attribute 'class'",
        ),
        (
            ["-C", "-o", "resources", "-X", "<primitive id='a'"],
            "line 1, column",
        ),
    ] {
        let run = place.run("cibadmin", &args);
        assert_eq!(run.code, Some(78), "{run:?}");
        assert!(run.err.contains(reason), "{run:?}");
        assert_eq!(place.cib(), DOCUMENT);
    }
}

#[test]
fn what_is_dangerous_needs_force_and_what_is_older_loses() {
    let place = Place::new();
    assert_eq!(place.run("cibadmin", &["-E"]).code, Some(107));
    assert_eq!(place.cib(), DOCUMENT);
    let older = DOCUMENT.replace("epoch=\"5\"", "epoch=\"4\"");
    fs::write(place.file("older.xml"), older).unwrap();
    assert_eq!(
        place.run("cibadmin", &["-R", "-x", "older.xml"]).code,
        Some(103)
    );
    assert_eq!(place.run("cibadmin", &["-E", "--force"]).code, Some(0));
    assert!(
        place
            .cib()
            .contains(r#"admin_epoch="1" epoch="6" num_updates="0""#)
    );
    assert!(place.cib().contains("<resources/>"));
}

#[test]
fn verify_names_file_line_and_reason() {
    let place = Place::new();
    assert_eq!(place.run("crm_verify", &["-x", "cib.xml"]).code, Some(0));
    fs::write(place.file("torn.xml"), &DOCUMENT[..DOCUMENT.len() / 2]).unwrap();
    let torn = place.run("crm_verify", &["-x", "torn.xml"]);
    assert_eq!(torn.code, Some(78), "{torn:?}");
    assert!(torn.err.contains("torn.xml: line "), "{torn:?}");
    let wrong = DOCUMENT.replace(" type=\"Dummy\"", "");
    fs::write(place.file("wrong.xml"), wrong).unwrap();
    let wrong = place.run("crm_verify", &["-x", "wrong.xml"]);
    assert_eq!(wrong.code, Some(78), "{wrong:?}");
    let place_and_reason =
        "wrong.xml: line 10, <primitive id=\"web\">: the attribute 'type' is missing";
    assert!(wrong.err.contains(place_and_reason), "{wrong:?}");
    let quiet = place.run("crm_verify", &["-x", "wrong.xml", "-q"]);
    assert_eq!((quiet.code, quiet.err.as_str()), (Some(78), ""));
    assert_eq!(
        place.run("crm_verify", &["-x", "missing.xml"]).code,
        Some(105)
    );
}

#[test]
fn a_difference_can_be_applied() {
    let place = Place::new();
    let new = DOCUMENT.replace("epoch=\"5\"", "epoch=\"6\"").replace(
        "<nodes/>",
        "<nodes>\n      <node id=\"1\" uname=\"a\"/>\n    </nodes>",
    );
    fs::write(place.file("new.xml"), &new).unwrap();
    let same = place.run("crm_diff", &["-o", "cib.xml", "-n", "cib.xml"]);
    assert_eq!((same.code, same.out.as_str()), (Some(0), ""));
    let patch = place.run("crm_diff", &["-o", "cib.xml", "-n", "new.xml"]);
    assert_eq!(patch.code, Some(1));
    fs::write(place.file("patch.xml"), &patch.out).unwrap();
    let applied = place.run("crm_diff", &["-o", "cib.xml", "-p", "patch.xml"]);
    assert_eq!(
        (applied.code, applied.out.as_str()),
        (Some(0), new.as_str())
    );
    assert_eq!(
        place.run("cibadmin", &["-P", "-x", "patch.xml"]).code,
        Some(0)
    );
    assert_eq!(place.cib(), new);
    let twice = place.run("cibadmin", &["-P", "-x", "patch.xml"]);
    assert_ne!(twice.code, Some(0), "{twice:?}");
}

#[test]
fn programs_get_one_xml_document_with_the_status() {
    let place = Place::new();
    let run = place.run("crm_verify", &["-x", "cib.xml", "--output-as=xml"]);
    assert_eq!(
        run.out,
        "<pacemaker-result api-version=\"2.42\" request=\"crm_verify -x cib.xml --output-as=xml\">\n  \
         <status code=\"0\" message=\"OK\"/>\n</pacemaker-result>\n"
    );
    let run = place.run(
        "cibadmin",
        &["-Q", "--output-as=xml", "--output-to=out.xml"],
    );
    assert_eq!((run.code, run.out.as_str()), (Some(0), ""));
    let out = fs::read_to_string(place.file("out.xml")).unwrap();
    assert!(out.contains("<output><![CDATA[<cib "), "{out}");
    assert!(is_xml(&place.file("out.xml")));
}

fn is_xml(file: &Path) -> bool {
    cib::Element::parse(&fs::read_to_string(file).unwrap()).is_ok()
}

/// As 2.1.5 and 3.0.2 show it: where it may run is told of one lost node, of several only which they are.
#[test]
fn of_several_lost_nodes_none_is_told_to_be_unclean() {
    let dummy = r#"class="ocf" provider="pacemaker" type="Dummy""#;
    let shown = |active: &[&str]| {
        let state = |node: &&str| {
            let started = match active.contains(node) {
                true => format!(
                    r#"<lrm_resource id="web" {dummy}><lrm_rsc_op id="web_last_0" operation_key="web_start_0" operation="start" call-id="10" rc-code="0" op-status="0" interval="0" transition-key="5:1:0:x" transition-magic="0:0;5:1:0:x"/></lrm_resource>"#
                ),
                false => String::new(),
            };
            format!(
                r#"<node_state id="{node}" uname="{node}" in_ccm="false" crmd="offline" join="down" expected="member"><lrm id="{node}"><lrm_resources>{started}</lrm_resources></lrm></node_state>"#
            )
        };
        let nodes = ["alpha", "beta"];
        let states: String = nodes.iter().map(state).collect();
        let listed = nodes.map(|n| format!(r#"<node id="{n}" uname="{n}"/>"#));
        let document = format!(
            r#"<cib validate-with="pacemaker-3.9" have-quorum="1" admin_epoch="0" epoch="1" num_updates="1"><configuration><crm_config/><nodes>{}</nodes><resources><primitive id="web" {dummy}/></resources><constraints/></configuration><status>{states}</status></cib>"#,
            listed.concat()
        );
        let place = Place::new();
        fs::write(place.file("cib.xml"), document).unwrap();
        let run = place.run("crm_simulate", &["-x", "cib.xml"]);
        let line = run.out.lines().find(|l| l.contains("web\t"));
        line.and_then(|l| l.split(":\t").nth(1))
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    assert_eq!(shown(&["alpha"]), "Started alpha (UNCLEAN)");
    assert_eq!(shown(&["alpha", "beta"]), "Started [ alpha beta ]");
}

#[test]
fn of_a_cloned_group_neither_a_pending_member_nor_a_failed_probe_shows() {
    let stateful = r#"class="ocf" provider="pacemaker" type="Stateful""#;
    let shown = |inside: &str, op: &str| {
        let document = format!(
            r#"<cib validate-with="pacemaker-3.9" have-quorum="1" admin_epoch="0" epoch="1" num_updates="1" crm_feature_set="3.16.1"><configuration><crm_config/><nodes><node id="1" uname="alpha"/></nodes><resources><clone id="all"><meta_attributes id="m"><nvpair id="p" name="promotable" value="true"/></meta_attributes>{inside}</clone></resources><constraints/></configuration><status><node_state id="1" uname="alpha" in_ccm="true" crmd="online" join="member" expected="member"><lrm id="1"><lrm_resources><lrm_resource id="web" {stateful}>{op}</lrm_resource></lrm_resources></lrm></node_state></status></cib>"#
        );
        let place = Place::new();
        fs::write(place.file("cib.xml"), document).unwrap();
        let run = place.run("crm_simulate", &["-x", "cib.xml"]);
        let lines = run.out.lines().skip_while(|l| !l.contains("Clone Set"));
        let line = lines.skip(1).find(|l| !l.contains("Resource Group"));
        line.unwrap_or_default().trim().replace('\t', " ")
    };
    let web = format!(r#"<primitive id="web" {stateful}/>"#);
    let group = format!(r#"<group id="g">{web}</group>"#);
    let op = |operation: &str, target: u8, rc: u8, status: i8| {
        format!(
            r#"<lrm_rsc_op id="web_last_0" operation_key="web_{operation}_0" operation="{operation}" call-id="10" rc-code="{rc}" op-status="{status}" interval="0" transition-key="5:1:{target}:x" transition-magic="{status}:{rc};5:1:{target}:x"/>"#
        )
    };
    let pending = op("promote", 0, 193, -1);
    assert!(shown(&web, &pending).contains("Promoting alpha"));
    assert_eq!(shown(&group, &pending), "* Promoted: [ alpha ]");
    let missing = op("monitor", 7, 5, 0);
    assert_eq!(
        shown(&web, &missing),
        "* Stopped (Not installed): [ alpha ]"
    );
    assert_eq!(shown(&group, &missing), "* Stopped: [ alpha ]");
}

#[test]
fn of_an_instance_with_a_number_of_its_own_no_failed_probe_shows() {
    let shown = |unique: bool| {
        let id = if unique { "web:0" } else { "web" };
        let stateful = r#"class="ocf" provider="pacemaker" type="Stateful""#;
        let document = format!(
            r#"<cib validate-with="pacemaker-3.9" have-quorum="1" admin_epoch="0" epoch="1" num_updates="1" crm_feature_set="3.16.1"><configuration><crm_config/><nodes><node id="1" uname="alpha"/></nodes><resources><clone id="all"><meta_attributes id="m"><nvpair id="u" name="globally-unique" value="{unique}"/></meta_attributes><primitive id="web" {stateful}/></clone></resources><constraints/></configuration><status><node_state id="1" uname="alpha" in_ccm="true" crmd="online" join="member" expected="member"><lrm id="1"><lrm_resources><lrm_resource id="{id}" {stateful}><lrm_rsc_op id="web_last_0" operation_key="{id}_monitor_0" operation="monitor" call-id="10" rc-code="5" op-status="0" interval="0" transition-key="5:1:7:x" transition-magic="0:5;5:1:7:x"/></lrm_resource></lrm_resources></lrm></node_state></status></cib>"#
        );
        let place = Place::new();
        fs::write(place.file("cib.xml"), document).unwrap();
        place.run("crm_simulate", &["-x", "cib.xml"]).out
    };
    assert!(shown(false).contains("Stopped (Not installed)"));
    assert!(shown(true).contains("Stopped") && !shown(true).contains("Not installed"));
}
