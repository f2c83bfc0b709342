//! `crm_simulate`: what the cluster would do.

use std::{ffi::OsString, io::Read, process::ExitCode};

use cib::Element;
use clap::Parser;

/// Shows what the cluster would do with a configuration and status.
#[derive(Parser, Debug)]
#[command(name = "crm_simulate", disable_version_flag = true)]
struct Options {
    /// Reads the CIB from this file.
    #[arg(short = 'x', long = "xml-file")]
    xml_file: Option<String>,
    /// Reads the CIB from standard input.
    #[arg(short = 'p', long = "xml-pipe")]
    xml_pipe: bool,
    /// Carries the transition out on paper and shows the state afterwards.
    #[arg(short = 'S', long)]
    simulate: bool,
    /// Shows what would be done.
    #[arg(short = 'R', long)]
    run: bool,
    /// Shows only what was asked for.
    #[arg(short = 'Q', long)]
    quiet: bool,
    /// Shows the scores.
    #[arg(short = 's', long = "show-scores")]
    show_scores: bool,
    /// Shows the room of the nodes.
    #[arg(short = 'U', long = "show-utilization")]
    show_utilization: bool,
    /// Writes the graph there.
    #[arg(short = 'G', long = "save-graph")]
    save_graph: Option<String>,
    /// Writes a drawing of the graph there.
    #[arg(short = 'D', long = "save-dotfile")]
    save_dot: Option<String>,
    /// Writes the CIB before the transition there.
    #[arg(short = 'I', long = "save-input")]
    save_input: Option<String>,
    /// Writes the CIB after the transition there.
    #[arg(short = 'O', long = "save-output")]
    save_output: Option<String>,
    /// The moment to decide for.
    #[arg(short = 't', long = "set-datetime")]
    set_datetime: Option<String>,
}

/// Runs the program.
pub(crate) fn main(args: Vec<OsString>) -> ExitCode {
    let args = std::iter::once(OsString::from("crm_simulate")).chain(args);
    let options = match Options::try_parse_from(args) {
        Ok(options) => options,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 64 } else { 0 });
        }
    };
    match work(&options) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(text) => {
            eprintln!("crm_simulate: {text}");
            ExitCode::from(1)
        }
    }
}

fn read_input(options: &Options) -> Result<Element, String> {
    let (name, text) = match &options.xml_file {
        Some(file) => (
            file.as_str(),
            std::fs::read_to_string(file).map_err(|e| format!("{file}: {e}"))?,
        ),
        None if options.xml_pipe => {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(|e| format!("standard input: {e}"))?;
            ("standard input", text)
        }
        None => return Err("name a file with -x, or pipe one in with -p".to_owned()),
    };
    Element::parse(&text).map_err(|e| format!("{name}: {e}"))
}

fn save(file: &Option<String>, text: impl FnOnce() -> String) -> Result<(), String> {
    match file {
        Some(file) => std::fs::write(file, text()).map_err(|e| format!("{file}: {e}")),
        None => Ok(()),
    }
}

fn moment(options: &Options, cib: &Element, out: &mut String) -> Result<i64, String> {
    if let Some(text) = &options.set_datetime {
        let at_s =
            scheduler::parse_moment(text).ok_or_else(|| format!("'{text}' is not a date"))?;
        if !options.quiet {
            out.push_str(&format!("Setting effective cluster time: {text}\n"));
        }
        return Ok(at_s);
    }
    if let Some(at_s) = cib
        .attr("execution-date")
        .and_then(|t| t.parse::<i64>().ok())
    {
        if !options.quiet {
            out.push_str(&format!(
                "Using the original execution date of: {}\n",
                scheduler::show_moment(at_s)
            ));
        }
        return Ok(at_s);
    }
    Ok(jiff::Timestamp::now().as_second())
}

fn work(options: &Options) -> Result<String, String> {
    let input = read_input(options)?;
    let mut out = String::new();
    let now_s = moment(options, &input, &mut out)?;
    if input
        .attr("validate-with")
        .is_some_and(|schema| schema == "none")
    {
        eprintln!(
            "Schema validation of configuration is disabled (support for validate-with set to \"none\" is deprecated and will be removed in a future release)"
        );
    }
    save(&options.save_input, || input.to_xml())?;
    let run = scheduler::run(&input, now_s, options.show_scores);
    if !options.quiet {
        show_status(&mut out, "Current cluster status:", &run);
    }
    let transition = options.simulate || options.run;
    if options.show_scores || options.show_utilization {
        out.push('\n');
        push_lines(&mut out, "", &run.scores);
        push_lines(&mut out, "", &run.utilization);
    }
    if transition && !options.quiet && !options.show_scores {
        out.push_str("Transition Summary:\n");
        push_lines(&mut out, "  * ", &run.transition_summary);
        out.push('\n');
    }
    save(&options.save_graph, || run.graph.to_xml(1))?;
    save(&options.save_dot, || run.graph.to_dot())?;
    if options.simulate {
        let executed = scheduler::simulate(&input, &run.graph, now_s);
        save(&options.save_output, || executed.cib.to_xml())?;
        if !options.quiet {
            out.push_str("Executing Cluster Transition:\n");
            push_lines(&mut out, "  * ", &executed.lines);
            out.push('\n');
            moment(options, &input, &mut out)?;
            let after = scheduler::state(&executed.cib, now_s);
            out.push_str("Revised Cluster Status:\n");
            push_lines(&mut out, "", &after);
            out.push('\n');
        }
    }
    Ok(out)
}

fn show_status(out: &mut String, title: &str, run: &scheduler::Run) {
    let (disabled, blocked, all) = run.counts;
    if disabled > 0 || blocked > 0 {
        out.push_str(&format!(
            "{disabled} of {all} resource instances DISABLED and {blocked} BLOCKED from further action due to failure\n\n"
        ));
    }
    out.push_str(title);
    out.push('\n');
    push_lines(out, "", &run.status);
    out.push('\n');
}

fn push_lines(out: &mut String, prefix: &str, lines: &[String]) {
    for line in lines {
        out.push_str(prefix);
        out.push_str(line);
        out.push('\n');
    }
}
