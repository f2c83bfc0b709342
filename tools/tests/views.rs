//! `crm_mon` and `crm_simulate` on a small cluster: what people and programs read.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use expect_test::{Expect, expect};

/// Two nodes and a third that is down; a clone, a group with a failed member, something banned, a ticket.
const DOCUMENT: &str = include_str!("views/cluster.xml");

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("cib.xml"), DOCUMENT).unwrap();
        Self { dir }
    }

    /// As [`Self::new`], without the bundle.
    fn plain() -> Self {
        let place = Self::new();
        let (before, rest) = DOCUMENT.split_once("      <bundle").unwrap();
        let (_, after) = rest.split_once("</bundle>\n").unwrap();
        fs::write(place.file(), format!("{before}{after}")).unwrap();
        place
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("cib.xml")
    }

    fn command(&self, tool: &str, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_systole"));
        command
            .arg(tool)
            .args(args)
            .env_clear()
            .env("TZ", "UTC")
            .env("CIB_file", self.file())
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    /// Exit code and output.
    fn run(&self, tool: &str, args: &[&str]) -> (Option<i32>, String) {
        let output = self.command(tool, args).output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), told)
    }

    fn shows(&self, tool: &str, args: &[&str], expected: &Expect) {
        let (code, told) = self.run(tool, args);
        assert_eq!(code, Some(0), "{tool} {args:?}");
        expected.assert_eq(&told);
    }
}

#[test]
fn at_a_glance() {
    Place::new().shows(
        "crm_mon",
        &["-1", "--exclude=times"],
        &expect![[r#"
            Cluster Summary:
              * Stack: systole
              * Current DC: alpha (version 1.0) - partition with quorum
              * 5 nodes configured
              * 14 resource instances configured (1 DISABLED)

            Node List:
              * Online: [ alpha beta ]
              * OFFLINE: [ gamma ]

            Active Resources:
              * Clone Set: cache-clone [cache]:
                * Started: [ alpha beta ]
              * Resource Group: shop:
                * db	(ocf:systole:Dummy):	 Started alpha
                * web	(ocf:systole:Dummy):	 FAILED alpha

            Failed Resource Actions:
              * web 10s-interval monitor on alpha returned 'Error occurred' (no answer <yet>) at Wed Nov 18 11:06:43 2026 after 1.500s
        "#]],
    );
}

#[test]
fn everything_in_detail() {
    let args = ["-1", "--include=all", "--exclude=summary", "-r", "-R", "-t"];
    Place::new().shows("crm_mon", &args, &expect![[r#"
        Node List:
          * Node alpha (1): online, feature set <3.15.1
          * Node beta (2): online, feature set <3.15.1
          * GuestNode box-0@: OFFLINE
          * GuestNode box-1@: OFFLINE
          * Node gamma (3): OFFLINE

        Full List of Resources:
          * Clone Set: cache-clone [cache]:
            * cache	(ocf:systole:Dummy):	 Started alpha
            * cache	(ocf:systole:Dummy):	 Started beta
            * cache	(ocf:systole:Dummy):	 Stopped
          * Resource Group: shop:
            * db	(ocf:systole:Dummy):	 Started alpha
            * web	(ocf:systole:Dummy):	 FAILED alpha
          * spare	(ocf:systole:Dummy):	 Stopped (disabled)
          * Container bundle set: box [localhost/box:1]:
            * Replica[0]
              * box-ip-10.0.0.9	(ocf:heartbeat:IPaddr2):	 Stopped
              * inside	(ocf:systole:Dummy):	 Stopped
              * box-podman-0	(ocf:heartbeat:podman):	 Stopped
              * box-0	(ocf:pacemaker:remote):	 Stopped
            * Replica[1]
              * box-ip-10.0.0.10	(ocf:heartbeat:IPaddr2):	 Stopped
              * inside	(ocf:systole:Dummy):	 Stopped
              * box-podman-1	(ocf:heartbeat:podman):	 Stopped
              * box-1	(ocf:pacemaker:remote):	 Stopped

        Node Attributes:
          * Node: alpha (1):
            * rack                            	: left      

        Operations:
          * Node: alpha (1):
            * cache: migration-threshold=1000000:
              * (5) start: last-rc-change="Wed Nov 18 11:06:40 2026" exec-time="12ms" queue-time="0ms" rc=0 (OK)
            * db: migration-threshold=1000000:
              * (6) start: last-rc-change="Wed Nov 18 11:06:41 2026" exec-time="20ms" queue-time="1ms" rc=0 (OK)
              * (7) monitor: interval="10000ms" last-rc-change="Wed Nov 18 11:06:42 2026" exec-time="3ms" queue-time="0ms" rc=0 (OK)
            * web: migration-threshold=1000000 fail-count=1 last-failure='Wed Nov 18 11:06:43 2026':
              * (8) start: last-rc-change="Wed Nov 18 11:06:42 2026" exec-time="30ms" queue-time="0ms" rc=0 (OK)
              * (9) monitor: interval="10000ms" last-rc-change="Wed Nov 18 11:06:43 2026" exec-time="1500ms" queue-time="0ms" rc=1 (Error occurred)
          * Node: beta (2):
            * cache: migration-threshold=1000000:
              * (5) start: last-rc-change="Wed Nov 18 11:06:40 2026" exec-time="12ms" queue-time="0ms" rc=0 (OK)

        Failed Resource Actions:
          * web_monitor_10000 on alpha 'Error occurred' (1): call=9, status='Done', exitreason='no answer <yet>', last-rc-change='Wed Nov 18 11:06:43 2026', queued=0ms, exec=1500ms

        Tickets:
          * site	revoked last-granted="Fri Nov  6 21:20:00 2026"

        Negative Location Constraints:
          * not-there	prevents spare from running on beta (2)
    "#]]);
}

#[test]
fn by_node_and_in_numbers() {
    let place = Place::new();
    let sections = "--include=none,nodes,resources";
    place.shows(
        "crm_mon",
        &["-1", sections, "-n", "-r"],
        &expect![[r#"
        Node List:
          * Node alpha: online:
            * Resources:
              * cache	(ocf:systole:Dummy):	 Started
              * db	(ocf:systole:Dummy):	 Started
              * web	(ocf:systole:Dummy):	 FAILED
          * Node beta: online:
            * Resources:
              * cache	(ocf:systole:Dummy):	 Started
          * GuestNode box-0: OFFLINE:
            * Resources:
          * GuestNode box-1: OFFLINE:
            * Resources:
          * Node gamma: OFFLINE:
            * Resources:

        Inactive Resources:
          * Clone Set: cache-clone [cache]:
            * Started: [ alpha beta ]
            * Stopped: [ gamma ]
          * spare	(ocf:systole:Dummy):	 Stopped (disabled)
          * Container bundle set: box [localhost/box:1]:
            * box-0 (10.0.0.9)	(ocf:systole:Dummy):	 Stopped
            * box-1 (10.0.0.10)	(ocf:systole:Dummy):	 Stopped
    "#]],
    );
    place.shows(
        "crm_mon",
        &["-1", sections, "-b", "-r"],
        &expect![[r#"
        Node List:
          * Online: [ alpha beta ]
          * OFFLINE: [ gamma ]

        Full List of Resources:
          * 0/1	(ocf:systole:Dummy):	Active
          * Clone Set: cache-clone [cache]:
            * Started: [ alpha beta ]
            * Stopped: [ gamma ]
          * Resource Group: shop:
            * 2/2	(ocf:systole:Dummy):	Active alpha
          * Container bundle set: box [localhost/box:1]:
            * box-0 (10.0.0.9)	(ocf:systole:Dummy):	 Stopped
            * box-1 (10.0.0.10)	(ocf:systole:Dummy):	 Stopped
    "#]],
    );
}

#[test]
fn only_what_is_about_something() {
    let place = Place::new();
    let sections = "--include=none,nodes,resources,failures";
    place.shows(
        "crm_mon",
        &["-1", sections, "--node=beta"],
        &expect![[r#"
        Node List:
          * Online: [ beta ]

        Active Resources:
          * Clone Set: cache-clone [cache]:
            * Started: [ beta ]
    "#]],
    );
    place.shows("crm_mon", &["-1", sections, "--resource=web"], &expect![[r#"
        Node List:
          * Online: [ alpha beta ]
          * OFFLINE: [ gamma ]

        Active Resources:
          * Resource Group: shop:
            * web	(ocf:systole:Dummy):	 FAILED alpha

        Failed Resource Actions:
          * web 10s-interval monitor on alpha returned 'Error occurred' (no answer <yet>) at Wed Nov 18 11:06:43 2026 after 1.500s
    "#]]);
    place.shows(
        "crm_mon",
        &["-1", sections, "--resource=nothing"],
        &expect![[r#"
        Node List:
          * Online: [ alpha beta ]
          * OFFLINE: [ gamma ]

        Active Resources:
          * No active resources
    "#]],
    );
}

#[test]
fn for_programs() {
    let args = ["--output-as=xml", "--exclude=times,operations"];
    Place::new().shows("crm_mon", &args, &expect![[r#"
        <pacemaker-result api-version="2.42" request="crm_mon --output-as=xml --exclude=times,operations">
          <summary>
            <stack type="systole"/>
            <current_dc present="true" version="1.0" name="alpha" id="1" with_quorum="true" mixed_version="false"/>
            <nodes_configured number="5"/>
            <resources_configured number="14" disabled="1" blocked="0"/>
            <cluster_options fencing-enabled="false" fencing-timeout-ms="60000" symmetric-cluster="true" no-quorum-policy="ignore" maintenance-mode="false" stop-all-resources="false" priority-fencing-delay-ms="0" stonith-enabled="false" stonith-timeout-ms="60000"/>
          </summary>
          <nodes>
            <node name="alpha" id="1" online="true" standby="false" standby_onfail="false" maintenance="false" pending="false" unclean="false" health="green" feature_set="&lt;3.15.1" shutdown="false" expected_up="true" is_dc="true" resources_running="3" type="member"/>
            <node name="beta" id="2" online="true" standby="false" standby_onfail="false" maintenance="false" pending="false" unclean="false" health="green" feature_set="&lt;3.15.1" shutdown="false" expected_up="true" is_dc="false" resources_running="1" type="member"/>
            <node name="box-0" id="box-0" online="false" standby="false" standby_onfail="false" maintenance="false" pending="false" unclean="false" health="green" shutdown="false" expected_up="false" is_dc="false" resources_running="0" type="remote" id_as_resource="box-podman-0"/>
            <node name="box-1" id="box-1" online="false" standby="false" standby_onfail="false" maintenance="false" pending="false" unclean="false" health="green" shutdown="false" expected_up="false" is_dc="false" resources_running="0" type="remote" id_as_resource="box-podman-1"/>
            <node name="gamma" id="3" online="false" standby="false" standby_onfail="false" maintenance="false" pending="false" unclean="false" health="green" shutdown="false" expected_up="false" is_dc="false" resources_running="0" type="member"/>
          </nodes>
          <resources>
            <clone id="cache-clone" multi_state="false" unique="false" maintenance="false" managed="true" disabled="false" failed="false" failure_ignored="false">
              <resource id="cache" resource_agent="ocf:systole:Dummy" role="Started" active="true" orphaned="false" removed="false" blocked="false" maintenance="false" managed="true" failed="false" failure_ignored="false" nodes_running_on="1">
                <node name="alpha" id="1" cached="true"/>
              </resource>
              <resource id="cache" resource_agent="ocf:systole:Dummy" role="Started" active="true" orphaned="false" removed="false" blocked="false" maintenance="false" managed="true" failed="false" failure_ignored="false" nodes_running_on="1">
                <node name="beta" id="2" cached="true"/>
              </resource>
              <resource id="cache" resource_agent="ocf:systole:Dummy" role="Stopped" active="false" orphaned="false" removed="false" blocked="false" maintenance="false" managed="true" failed="false" failure_ignored="false" nodes_running_on="0"/>
            </clone>
            <group id="shop" number_resources="2" maintenance="false" managed="true" disabled="false">
              <resource id="db" resource_agent="ocf:systole:Dummy" role="Started" active="true" orphaned="false" removed="false" blocked="false" maintenance="false" managed="true" failed="false" failure_ignored="false" nodes_running_on="1">
                <node name="alpha" id="1" cached="true"/>
              </resource>
              <resource id="web" resource_agent="ocf:systole:Dummy" role="Started" active="true" orphaned="false" removed="false" blocked="false" maintenance="false" managed="true" failed="true" failure_ignored="false" nodes_running_on="1">
                <node name="alpha" id="1" cached="true"/>
              </resource>
            </group>
            <resource id="spare" resource_agent="ocf:systole:Dummy" role="Stopped" target_role="Stopped" active="false" orphaned="false" removed="false" blocked="false" maintenance="false" managed="true" failed="false" failure_ignored="false" nodes_running_on="0"/>
            <bundle id="box" type="podman" image="localhost/box:1" unique="false" maintenance="false" managed="true" failed="false">
              <replica id="0">
                <resource id="box-ip-10.0.0.9" resource_agent="ocf:heartbeat:IPaddr2" role="Stopped" active="false" orphaned="false" removed="false" blocked="false" maintenance="false" managed="true" failed="false" failure_ignored="false" nodes_running_on="0"/>
                <resource id="inside" resource_agent="ocf:systole:Dummy" role="Stopped" active="false" orphaned="false" removed="false" blocked="false" maintenance="false" managed="true" failed="false" failure_ignored="false" nodes_running_on="0"/>
                <resource id="box-podman-0" resource_agent="ocf:heartbeat:podman" role="Stopped" active="false" orphaned="false" removed="false" blocked="false" maintenance="false" managed="true" failed="false" failure_ignored="false" nodes_running_on="0"/>
                <resource id="box-0" resource_agent="ocf:pacemaker:remote" role="Stopped" active="false" orphaned="false" removed="false" blocked="false" maintenance="false" managed="true" failed="false" failure_ignored="false" nodes_running_on="0"/>
              </replica>
              <replica id="1">
                <resource id="box-ip-10.0.0.10" resource_agent="ocf:heartbeat:IPaddr2" role="Stopped" active="false" orphaned="false" removed="false" blocked="false" maintenance="false" managed="true" failed="false" failure_ignored="false" nodes_running_on="0"/>
                <resource id="inside" resource_agent="ocf:systole:Dummy" role="Stopped" active="false" orphaned="false" removed="false" blocked="false" maintenance="false" managed="true" failed="false" failure_ignored="false" nodes_running_on="0"/>
                <resource id="box-podman-1" resource_agent="ocf:heartbeat:podman" role="Stopped" active="false" orphaned="false" removed="false" blocked="false" maintenance="false" managed="true" failed="false" failure_ignored="false" nodes_running_on="0"/>
                <resource id="box-1" resource_agent="ocf:pacemaker:remote" role="Stopped" active="false" orphaned="false" removed="false" blocked="false" maintenance="false" managed="true" failed="false" failure_ignored="false" nodes_running_on="0"/>
              </replica>
            </bundle>
          </resources>
          <node_attributes>
            <node name="alpha">
              <attribute name="rack" value="left"/>
            </node>
          </node_attributes>
          <node_history>
            <node name="alpha">
              <resource_history id="web" orphan="false" removed="false" migration-threshold="1000000" fail-count="1" last-failure="Wed Nov 18 11:06:43 2026"/>
            </node>
          </node_history>
          <failures>
            <failure op_key="web_monitor_10000" node="alpha" exitstatus="Error occurred" exitreason="no answer &lt;yet&gt;" exitcode="1" call="9" status="Done" last-rc-change="2026-11-18 11:06:43Z" queued="0" exec="1500" interval="10000" task="monitor"/>
          </failures>
          <tickets>
            <ticket id="site" status="revoked" standby="false" granted="false" last-granted="Fri Nov  6 21:20:00 2026"/>
          </tickets>
          <bans>
            <ban id="not-there" resource="spare" node="beta" weight="-1000000" promoted-only="false" master_only="false"/>
          </bans>
          <status code="0" message="OK"/>
        </pacemaker-result>
    "#]]);
}

#[test]
fn for_browsers() {
    let place = Place::new();
    let to = [
        "--output-as=html",
        "--output-to=page.html",
        "--html-title=A & B",
    ];
    let (code, told) = place.run("crm_mon", &to);
    assert_eq!((code, told.as_str()), (Some(0), ""));
    let page = fs::read_to_string(place.dir.path().join("page.html")).unwrap();
    assert!(page.contains("<title>A &amp; B</title>"), "{page}");
    assert!(
        page.contains("<span class=\"online\">Online: [ alpha beta ]</span>"),
        "{page}"
    );
    assert!(page.ends_with("</html>\n"));
}

#[test]
fn what_is_not_understood_is_a_usage_error() {
    let place = Place::new();
    for (tool, args) in [
        ("crm_mon", ["-1", "--include=nodez"]),
        ("crm_mon", ["-1", "--output-as=yaml"]),
        ("crm_mon", ["-1", "--nonsense"]),
        ("crm_simulate", ["-L", "--nonsense"]),
        ("crm_simulate", ["-L", "--op-inject=start"]),
    ] {
        assert_eq!(place.run(tool, &args).0, Some(64), "{tool} {args:?}");
    }
    let (code, list) = place.run("crm_mon", &["--include=list"]);
    assert_eq!(code, Some(0));
    assert!(list.contains("failcounts, failures, fencing"), "{list}");
}

#[test]
fn again_and_again_until_nobody_reads() {
    let place = Place::new();
    let mut child = place
        .command("crm_mon", &["-i", "20ms"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut seen = 0;
    while seen < 3 {
        let line = lines.next().expect("it goes on").unwrap();
        seen += usize::from(line == "Cluster Summary:");
    }
    drop(lines);
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            assert_eq!(status.code(), Some(0));
            return;
        }
        if Instant::now() > until {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it goes on though nobody reads");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_would_be_done_and_how_it_would_look() {
    let place = Place::plain();
    place.shows(
        "crm_simulate",
        &["-L", "-S", "-d", "beta"],
        &expect![[r#"
            1 of 6 resource instances DISABLED and 0 BLOCKED from further action due to failure

            Current cluster status:
              * Node List:
                * Online: [ alpha beta ]
                * OFFLINE: [ gamma ]

              * Full List of Resources:
                * Clone Set: cache-clone [cache]:
                  * Started: [ alpha beta ]
                  * Stopped: [ gamma ]
                * Resource Group: shop:
                  * db	(ocf:systole:Dummy):	 Started alpha
                  * web	(ocf:systole:Dummy):	 FAILED alpha
                * spare	(ocf:systole:Dummy):	 Stopped (disabled)

            Performing Requested Modifications:
              * Taking node beta offline

            Transition Summary:
              * Restart    cache:0     ( alpha )
              * Restart    db          ( alpha )
              * Recover    web         ( alpha )

            Executing Cluster Transition:
              * Pseudo action:   cache-clone_stop_0
              * Pseudo action:   shop_stop_0
              * Cluster action:  clear_failcount for web on alpha
              * Resource action: web             stop on alpha
              * Resource action: spare           monitor on alpha
              * Resource action: cache           stop on alpha
              * Pseudo action:   cache-clone_stopped_0
              * Pseudo action:   cache-clone_start_0
              * Resource action: db              stop on alpha
              * Resource action: web             cancel=10000 on alpha
              * Resource action: cache           start on alpha
              * Pseudo action:   cache-clone_running_0
              * Pseudo action:   shop_stopped_0
              * Pseudo action:   shop_start_0
              * Resource action: db              start on alpha
              * Resource action: db              monitor=10000 on alpha
              * Resource action: web             start on alpha
              * Pseudo action:   shop_running_0

            Revised Cluster Status:
              * Node List:
                * Online: [ alpha ]
                * OFFLINE: [ beta gamma ]

              * Full List of Resources:
                * Clone Set: cache-clone [cache]:
                  * Started: [ alpha ]
                  * Stopped: [ beta gamma ]
                * Resource Group: shop:
                  * db	(ocf:systole:Dummy):	 Started alpha
                  * web	(ocf:systole:Dummy):	 Started alpha
                * spare	(ocf:systole:Dummy):	 Stopped (disabled)

        "#]],
    );
    let (code, told) = place.run("crm_simulate", &["-L", "-R", "--output-as=xml"]);
    assert_eq!(code, Some(0));
    assert!(told.contains("<actions"), "{told}");
}

#[test]
fn a_failure_that_is_asked_for_stops_the_simulation() {
    let place = Place::plain();
    let before = fs::read_to_string(place.file()).unwrap();
    let fail = [
        "-x",
        "cib.xml",
        "-S",
        "-F",
        "web_stop_0@alpha=1",
        "-O",
        "after.xml",
    ];
    let (code, told) = place.run("crm_simulate", &fail);
    assert_eq!(code, Some(0));
    let (_, after) = told.split_once("failed with rc=1\n").expect("it failed");
    assert!(
        after.trim_start().starts_with("Revised Cluster Status:"),
        "{told}"
    );
    let saved = fs::read_to_string(place.dir.path().join("after.xml")).unwrap();
    assert!(
        saved.contains("name=\"fail-count-web#stop_0\" value=\"1\""),
        "{saved}"
    );
    assert_eq!(fs::read_to_string(place.file()).unwrap(), before);
}

#[test]
fn a_result_can_be_put_back() {
    let place = Place::plain();
    let (code, _) = place.run("crm_simulate", &["-x", "cib.xml", "-X", "-u", "gamma"]);
    assert_eq!(code, Some(0));
    let (_, told) = place.run("crm_mon", &["-1", "--include=none,nodes"]);
    expect![[r#"
        Node List:
          * Online: [ alpha beta gamma ]
    "#]]
    .assert_eq(&told);
}

#[test]
fn an_invalid_input_is_refused() {
    let place = Place::plain();
    let broken = DOCUMENT.replace(" validate-with=\"pacemaker-4.0\"", "");
    fs::write(place.file(), broken).unwrap();
    assert_eq!(
        place.run("crm_simulate", &["-x", "cib.xml", "-S"]).0,
        Some(78)
    );
    assert_eq!(
        place.run("crm_simulate", &["-x", "none.xml", "-S"]).0,
        Some(105)
    );
}
