//! `crm_ticket`: tickets, which say what a site of several may run.

use crate::common::{self, CommonArguments, Failure, Tool, exit, output::Output, source::Source};
use cib::{
    Element,
    edit::{Action, Operation},
};
use clap::{ArgGroup, Parser};
use std::{ffi::OsString, process::ExitCode};

/// Shows and changes tickets.
#[derive(Debug, Parser)]
#[command(name = "crm_ticket", version, disable_version_flag = true)]
#[command(group = ArgGroup::new("command").args([
    "info", "details", "raw", "query_xml", "constraints", "grant", "revoke", "standby", "activate",
    "get_attr", "set_attr", "delete_attr", "cleanup",
]))]
struct Arguments {
    /// Show tickets with their state (as without any command).
    #[arg(short = 'l', long)]
    info: bool,
    /// Show tickets with their attributes.
    #[arg(short = 'L', long)]
    details: bool,
    /// Show the ids of tickets.
    #[arg(short = 'w', long)]
    raw: bool,
    /// Show a ticket's XML.
    #[arg(short = 'q', long)]
    query_xml: bool,
    /// Show what depends on tickets.
    #[arg(short = 'c', long)]
    constraints: bool,
    /// Grant it to this site (with --force: only if no other site has it!).
    #[arg(short = 'g', long)]
    grant: bool,
    /// Take it from this site.
    #[arg(short = 'r', long)]
    revoke: bool,
    /// Keep what depends on it from running though it is granted.
    #[arg(short = 's', long)]
    standby: bool,
    /// End its standby.
    #[arg(short = 'a', long)]
    activate: bool,
    /// Show an attribute of it.
    #[arg(short = 'G', long, value_name = "ATTRIBUTE")]
    get_attr: Option<String>,
    /// Set an attribute of it, to --attr-value.
    #[arg(short = 'S', long, value_name = "ATTRIBUTE", requires = "attr_value")]
    set_attr: Option<String>,
    /// Delete an attribute of it.
    #[arg(short = 'D', long, value_name = "ATTRIBUTE")]
    delete_attr: Option<String>,
    /// Forget the ticket.
    #[arg(short = 'C', long)]
    cleanup: bool,
    /// Which ticket.
    #[arg(short = 't', long, value_name = "ID")]
    ticket: Option<String>,
    /// With --set-attr.
    #[arg(short = 'v', long, value_name = "VALUE", allow_hyphen_values = true)]
    attr_value: Option<String>,
    /// With --get-attr: shown if it is not set.
    #[arg(short = 'd', long, value_name = "VALUE", allow_hyphen_values = true)]
    default: Option<String>,
    /// With --set-attr: the id of the set (not used by tickets of today).
    #[arg(short = 'n', long, value_name = "ID", hide = true)]
    set_name: Option<String>,
    /// Do it although it is dangerous.
    #[arg(short = 'f', long)]
    force: bool,
    #[command(flatten)]
    common: CommonArguments,
}

/// The program.
pub(crate) fn main(args: Vec<OsString>) -> ExitCode {
    common::main::<Arguments>(args)
}

impl Tool for Arguments {
    const NAME: &'static str = "crm_ticket";

    fn common(&self) -> &CommonArguments {
        &self.common
    }

    fn run(&self, output: &mut Output) -> Result<u8, Failure> {
        let mut source = Source::from_environment()?;
        let document = source.document()?;
        if self.constraints {
            return self.show_constraints(&document, output);
        }
        if self.query_xml {
            return self.show_xml(&document, output);
        }
        if let Some(name) = &self.get_attr {
            return self.show_attribute(&document, name, output);
        }
        if self.cleanup {
            return self.forget(&mut source, &document);
        }
        if let Some(name) = &self.delete_attr {
            return self.delete(&mut source, &document, name);
        }
        match self.new_value() {
            Some((name, value)) => self.set(&mut source, &name, &value),
            None => self.list(&document, output),
        }
    }
}

/// Every ticket the status section knows.
fn tickets(document: &Element) -> Vec<&Element> {
    let tickets = document.child("status").and_then(|s| s.child("tickets"));
    let states = tickets
        .into_iter()
        .flat_map(|t| t.children_named("ticket_state"));
    states.collect()
}

/// Those, and the ones that something waits for though nobody has ever granted them.
fn all(document: &Element) -> Vec<Element> {
    let mut found: Vec<Element> = tickets(document).into_iter().cloned().collect();
    let constraints = document
        .child("configuration")
        .and_then(|c| c.child("constraints"));
    let waited_for = constraints
        .into_iter()
        .flat_map(|c| c.children_named("rsc_ticket"))
        .filter_map(|c| c.attr("ticket"));
    for id in waited_for {
        if !found.iter().any(|t| t.id() == Some(id)) {
            found.push(Element::new("ticket_state").with_attr("id", id));
        }
    }
    found
}

fn ticket<'d>(document: &'d Element, id: &str) -> Option<&'d Element> {
    tickets(document).into_iter().find(|t| t.id() == Some(id))
}

fn is_true(value: Option<&str>) -> bool {
    matches!(value, Some("true" | "on" | "yes" | "y" | "1"))
}

impl Arguments {
    fn id(&self) -> Result<&str, Failure> {
        let id = self.ticket.as_deref();
        id.ok_or_else(|| Failure::usage("Must supply ticket ID with -t"))
    }

    fn known<'d>(&self, document: &'d Element) -> Result<&'d Element, Failure> {
        let id = self.id()?;
        ticket(document, id).ok_or_else(|| Failure::no_such(format!("no such ticket '{id}'")))
    }

    /// The attribute that a command sets.
    fn new_value(&self) -> Option<(String, String)> {
        let flags = [
            (self.grant, "granted", "true"),
            (self.revoke, "granted", "false"),
            (self.standby, "standby", "true"),
            (self.activate, "standby", "false"),
        ];
        let flag = flags.iter().find(|(given, ..)| *given);
        let flag = flag.map(|(_, name, value)| ((*name).to_owned(), (*value).to_owned()));
        let named = || Some((self.set_attr.clone()?, self.attr_value.clone()?));
        flag.or_else(named)
    }

    fn list(&self, document: &Element, output: &mut Output) -> Result<u8, Failure> {
        let shown: Vec<Element> = match &self.ticket {
            Some(_) => vec![self.known(document)?.clone()],
            None => all(document),
        };
        let mut list = Element::new("tickets");
        for state in &shown {
            output.line(&self.line(state));
            list.push(described(state));
        }
        if !shown.is_empty() {
            output.element(list);
        }
        Ok(exit::OK)
    }

    fn line(&self, state: &Element) -> String {
        let id = state.id().unwrap_or_default();
        if self.raw {
            return id.to_owned();
        }
        let granted = match is_true(state.attr("granted")) {
            true => "granted",
            false => "revoked",
        };
        let mut line = format!("{id}\t{granted}");
        if !self.details {
            if is_true(state.attr("standby")) {
                line.push_str(" [standby]");
            }
            return line;
        }
        let details: Vec<String> = state
            .attrs()
            .filter(|(name, _)| !matches!(*name, "id" | "granted"))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if !details.is_empty() {
            line.push_str(&format!("\t({})", details.join(", ")));
        }
        line
    }

    fn show_xml(&self, document: &Element, output: &mut Output) -> Result<u8, Failure> {
        let state = self.known(document)?;
        output.line(&format!("State XML:\n\n{}", state.to_xml().trim_end()));
        let mut shown = Element::new("ticket");
        for (name, value) in state.attrs() {
            shown.set_attr(name, value);
        }
        output.element(Element::new("tickets").with_child(shown));
        Ok(exit::OK)
    }

    fn show_attribute(
        &self,
        document: &Element,
        name: &str,
        output: &mut Output,
    ) -> Result<u8, Failure> {
        let id = self.id()?;
        let value = ticket(document, id).and_then(|t| t.attr(name));
        let Some(value) = value.or(self.default.as_deref()) else {
            return Err(Failure::no_such(format!(
                "ticket '{id}' has no attribute '{name}'"
            )));
        };
        output.line(value);
        let attribute = Element::new("attribute")
            .with_attr("name", name)
            .with_attr("value", value);
        let ticket = Element::new("ticket").with_attr("id", id);
        output.element(Element::new("tickets").with_child(ticket.with_child(attribute)));
        Ok(exit::OK)
    }

    fn show_constraints(&self, document: &Element, output: &mut Output) -> Result<u8, Failure> {
        let constraints = document
            .child("configuration")
            .and_then(|c| c.child("constraints"))
            .into_iter()
            .flat_map(|c| c.children_named("rsc_ticket"))
            .filter(|c| self.ticket.is_none() || c.attr("ticket") == self.ticket.as_deref());
        let found: Vec<&Element> = constraints.collect();
        if found.is_empty() {
            return Err(Failure::no_such("no constraint depends on a ticket"));
        }
        output.line("Constraints XML:\n");
        for constraint in found {
            output.line(constraint.to_xml().trim_end());
            let shown = Element::new("constraint").with_child(constraint.clone());
            output.element(shown);
        }
        Ok(exit::OK)
    }

    fn set(&self, source: &mut Source, name: &str, value: &str) -> Result<u8, Failure> {
        let id = self.id()?;
        if name == "granted" && !self.force {
            let doing = if is_true(Some(value)) {
                "grant"
            } else {
                "revoke"
            };
            let text = format!(
                "to {doing} ticket '{id}' here by hand may leave a service running at two sites, \
                 or at none: when you have made sure of the other sites, say --force"
            );
            return Err(Failure::new(exit::INSUFFICIENT_PRIVILEGE, text));
        }
        let mut state = Element::new("ticket_state")
            .with_attr("id", id)
            .with_attr(name, value);
        if name == "granted" && is_true(Some(value)) {
            let now = jiff::Timestamp::now().as_second();
            state.set_attr("last-granted", now.to_string());
        }
        let tickets = Element::new("tickets").with_child(state);
        let mut edit = Operation::new(Action::Modify, Some(tickets)).in_section("status");
        edit.allow_create = true;
        source.apply(&edit)?;
        Ok(exit::OK)
    }

    fn delete(&self, source: &mut Source, document: &Element, name: &str) -> Result<u8, Failure> {
        let id = self.id()?;
        if name == "granted" && !self.force {
            let text = format!(
                "to forget whether ticket '{id}' is granted may stop what depends on it: say \
                 --force if that is meant"
            );
            return Err(Failure::new(exit::INSUFFICIENT_PRIVILEGE, text));
        }
        let mut state = self.known(document)?.clone();
        state.remove_attr(name);
        source.apply(&Operation::new(Action::Replace, Some(state)).in_section("status"))?;
        Ok(exit::OK)
    }

    fn forget(&self, source: &mut Source, document: &Element) -> Result<u8, Failure> {
        let state = self.known(document)?;
        if is_true(state.attr("granted")) && !self.force {
            let text = "the ticket is granted: revoke it first, or say --force";
            return Err(Failure::new(exit::INSUFFICIENT_PRIVILEGE, text));
        }
        let wanted = Element::new("ticket_state").with_attr("id", self.id()?);
        source.apply(&Operation::new(Action::Delete, Some(wanted)).in_section("status"))?;
        Ok(exit::OK)
    }
}

/// A ticket as programs read it.
fn described(state: &Element) -> Element {
    let status = match is_true(state.attr("granted")) {
        true => "granted",
        false => "revoked",
    };
    let mut shown = Element::new("ticket")
        .with_attr("id", state.id().unwrap_or_default())
        .with_attr("status", status)
        .with_attr("standby", is_true(state.attr("standby")).to_string());
    for (name, value) in state.attrs() {
        if !matches!(name, "id" | "standby") {
            shown.set_attr(name, value);
        }
    }
    shown
}
