//! Measures the tools against recorded command lines of Pacemaker, where that data is at hand.

use super::called;
use crate::{
    run::{self, Show},
    tally::Tally,
};
use std::{path::Path, process::Command, time::Duration};

const DEADLINE: Duration = Duration::from_secs(15 * 60);
/// Where transcripts are, beside the workspace.
const DATA: [&str; 2] = ["pacemaker-cli", "pacemaker-views"];

/// Transcripts that must pass, of a hundred of both sets together, by tool. Raised when a tool
/// learns, never lowered.
const FLOORS: &[(&str, u64)] = &[
    ("cibadmin", 100),
    ("crm_attribute", 100),
    ("crm_diff", 100),
    ("crm_error", 100),
    ("crm_failcount", 100),
    ("crm_mon", 98),
    ("crm_resource", 99),
    ("crm_rule", 100),
    ("crm_shadow", 98),
    ("crm_simulate", 95),
    ("crm_standby", 100),
    ("crm_ticket", 100),
    ("crm_verify", 95),
    ("crmadmin", 100),
    ("iso8601", 100),
];

/// Replays every transcript of these tools and compares with their floors.
pub(crate) fn tools(tally: &mut Tally, executable: &Path) {
    let shared = run::root().join("../shared");
    let script = shared.join("conformance/cli");
    if !script.is_file() {
        tally.skip("tools conformance: no ../shared/conformance beside the workspace");
        return;
    }
    let mut programs = run::target();
    for (tool, _) in FLOORS {
        match called(executable, tool) {
            Ok(path) => programs = path.parent().unwrap_or(&programs).to_owned(),
            Err(e) => return tally.check(&format!("tools conformance: {tool}: {e}"), false),
        }
    }
    for (tool, floor) in FLOORS {
        let (mut passed, mut all) = (0, 0);
        for data in DATA {
            let mut command = Command::new(&script);
            command.arg(&programs).args(["--tool", tool, "--data"]);
            let ended = run::run(command.arg(shared.join(data)), Show::Nothing, DEADLINE);
            let (good, bad) = super::last_line(&ended.output).unwrap_or((0, 1));
            passed += good;
            all += good + bad;
        }
        let percent = passed * 100 / all.max(1);
        let name = format!(
            "{tool} conformance: {passed} of {all} transcripts ({percent} %), floor {floor} %"
        );
        tally.check(&name, percent >= *floor);
    }
}
