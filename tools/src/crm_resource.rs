//! `crm_resource`: what resources there are and how they do; moving, changing and mending them.

mod agents;
mod arguments;
mod config;
mod constraints;
mod digests;
mod listing;
mod live;
mod operations;
mod parameters;
mod placement;
mod state;
mod why;

use crate::common::{
    self, CommonArguments, Failure, Tool, exit, options, output::Output, source::Source,
};
use arguments::Arguments;
use state::State;
use std::{ffi::OsString, process::ExitCode};

/// The program.
pub(crate) fn main(args: Vec<OsString>) -> ExitCode {
    common::main::<Arguments>(args)
}

impl Tool for Arguments {
    const NAME: &'static str = "crm_resource";

    fn common(&self) -> &CommonArguments {
        &self.common
    }

    fn run(&self, output: &mut Output) -> Result<u8, Failure> {
        self.check()?;
        if let Some(result) = self.run_without_cluster(output) {
            return result;
        }
        let mut source = Source::from_environment()?;
        if let Some(result) = self.change(&mut source, output) {
            return result;
        }
        let state = State::read(&mut source)?;
        self.show(&state, &mut source, output)
    }
}

impl Arguments {
    /// Combinations that make no sense.
    fn check(&self) -> Result<(), Failure> {
        let agent = self.class.is_some() || self.provider.is_some() || self.agent.is_some();
        if agent && self.resource.is_some() {
            return Err(Failure::usage(
                "--class, --agent, and --provider cannot be used with -r",
            ));
        }
        if agent && !self.validate {
            return Err(Failure::usage(
                "--class, --agent, and --provider can only be used with --validate",
            ));
        }
        if self.expired && !self.clear {
            return Err(Failure::usage("--expired requires --clear"));
        }
        Ok(())
    }

    fn named(&self) -> Result<&str, Failure> {
        let resource = self.resource.as_deref();
        resource.ok_or_else(|| Failure::usage("Must supply a resource ID with -r"))
    }

    fn run_without_cluster(&self, output: &mut Output) -> Option<Result<u8, Failure>> {
        if let Some(what) = &self.list_options {
            return Some(self.show_options(what, output));
        }
        if self.list_standards {
            return Some(Ok(agents::standards(output)));
        }
        if self.list_ocf_providers {
            return Some(agents::providers(None, output));
        }
        if let Some(agent) = &self.list_ocf_alternatives {
            return Some(agents::providers(Some(agent), output));
        }
        if let Some(spec) = &self.list_agents {
            return Some(agents::agents(spec, output));
        }
        if let Some(spec) = &self.show_metadata {
            return Some(agents::metadata(spec, output));
        }
        if self.validate && self.resource.is_none() {
            return Some(agents::validate_agent(self, output));
        }
        None
    }

    fn show_options(&self, what: &str, output: &mut Output) -> Result<u8, Failure> {
        let (list, name) = match what {
            "primitive" => (options::PRIMITIVE, "primitive-meta"),
            "fencing" => (options::FENCING, "fencing-attributes"),
            other => {
                return Err(Failure::usage(format!(
                    "Invalid --list-options value '{other}'. Allowed values: primitive, fencing"
                )));
            }
        };
        options::list(list, name, self.all, output);
        Ok(exit::OK)
    }

    /// Commands that change something without looking at where resources run.
    fn change(&self, source: &mut Source, output: &mut Output) -> Option<Result<u8, Failure>> {
        if self.wait {
            return Some(live::wait(source, self));
        }
        if self.cleanup || self.refresh {
            let resource = self.resource.as_deref();
            return Some(live::clean(source, resource, self, output));
        }
        let set = self.set_parameter.as_ref().or(self.set_property.as_ref());
        let get = self.get_parameter.as_ref().or(self.get_property.as_ref());
        let resource = match self.named() {
            Ok(resource) => resource,
            Err(failure) => {
                let needs_one = set.is_some()
                    || get.is_some()
                    || self.delete_parameter.is_some()
                    || self.delete
                    || self.restart;
                return needs_one.then_some(Err(failure));
            }
        };
        if let Some(name) = set {
            return Some(parameters::set(source, resource, name, self, output));
        }
        if let Some(name) = &self.delete_parameter {
            return Some(parameters::delete(source, resource, name, self, output));
        }
        if let Some(name) = get {
            let document = source.document();
            return Some(document.and_then(|d| parameters::get(&d, resource, name, self, output)));
        }
        if self.delete {
            return Some(live::delete(source, resource, self));
        }
        if self.restart {
            return Some(live::restart(source, resource, self, output));
        }
        None
    }

    /// Commands about where resources run.
    fn show(&self, state: &State, source: &mut Source, output: &mut Output) -> Result<u8, Failure> {
        let node = self.node.as_deref();
        if self.list_raw {
            listing::list_raw(state, output);
        } else if self.list_cts {
            listing::list_cts(state, output);
        } else if self.list_operations || self.list_all_operations {
            let active = self.list_operations && self.resource.is_some();
            operations::tell(state, self.resource.as_deref(), node, active, output)?;
        } else if self.why {
            why::why(state, self.resource.as_deref(), node, output)?;
            if let Some(resource) = self.resource.as_ref().filter(|_| self.common.verbose > 0) {
                // More than the field's tool tells, so only for those who ask for more.
                let (cib, now_s) = (&state.document, state.now_s);
                output.line("");
                crate::explain::in_words(cib, now_s, resource, node, output)?;
            }
        } else if self.clear {
            if let Some(name) = &self.resource {
                state.find(name)?;
            }
            let resource = self.resource.as_deref();
            return placement::clear(source, &state.document, resource, self, output);
        } else if self.locate {
            return listing::locate(state, self.named()?, self, output);
        } else if self.query_xml || self.query_xml_raw {
            return listing::query(state, self.named()?, self.query_xml_raw, output);
        } else if self.constraints || self.stack {
            let place = state.find(self.named()?)?;
            constraints::tell(state, place, self.stack, output);
        } else if self.digests {
            let node = node.ok_or_else(|| Failure::usage("Must supply a node with -N"))?;
            let overrides = agents::overrides(&self.overrides)?;
            digests::tell(state, self.named()?, node, &overrides, output)?;
        } else if self.move_it {
            let place = state.find(self.named()?)?;
            return placement::move_it(source, state, place, self, output);
        } else if self.ban {
            let place = state.find(self.named()?)?;
            return placement::ban(source, state, place, self, output);
        } else if self.is_forcing() {
            let own = source.own_node();
            return agents::force(state, self.named()?, self, &own, output);
        } else {
            listing::list(state, output);
        }
        Ok(exit::OK)
    }

    fn is_forcing(&self) -> bool {
        self.validate
            || self.force_start
            || self.force_stop
            || self.force_demote
            || self.force_promote
            || self.force_check
    }
}
