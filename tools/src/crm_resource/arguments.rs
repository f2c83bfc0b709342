//! The command line of `crm_resource`.

use crate::common::CommonArguments;
use clap::{ArgGroup, Parser};

/// Shows and changes resources.
#[derive(Debug, Parser)]
#[command(name = "crm_resource", version, disable_version_flag = true)]
#[command(group = ArgGroup::new("command").required(true).multiple(false).args([
    "list", "list_raw", "list_cts", "list_operations", "list_all_operations", "list_options",
    "list_standards", "list_ocf_providers", "list_agents", "list_ocf_alternatives",
    "show_metadata", "query_xml", "query_xml_raw", "locate", "stack", "constraints", "why",
    "validate", "cleanup", "refresh", "set_parameter", "get_parameter", "delete_parameter",
    "get_property", "set_property", "digests", "move_it", "ban", "clear", "delete",
    "restart", "wait", "force_demote", "force_stop", "force_start", "force_promote", "force_check",
]))]
pub(super) struct Arguments {
    /// List all resources and where they run.
    #[arg(short = 'L', long)]
    pub(super) list: bool,
    /// List the ids of all primitives, without their state.
    #[arg(short = 'l', long)]
    pub(super) list_raw: bool,
    /// List resources for test programs.
    #[arg(short = 'c', long, hide = true)]
    pub(super) list_cts: bool,
    /// List the operations that count, of --resource or on --node.
    #[arg(short = 'O', long)]
    pub(super) list_operations: bool,
    /// List all operations, also those of resources that are not active.
    #[arg(short = 'o', long)]
    pub(super) list_all_operations: bool,
    /// List the options of resources: `primitive` or `fencing`.
    #[arg(long, num_args = 0..=1, value_name = "WHAT", default_missing_value = "primitive")]
    pub(super) list_options: Option<String>,
    /// List the kinds of agents there are.
    #[arg(long)]
    pub(super) list_standards: bool,
    /// List who provides OCF agents here.
    #[arg(long)]
    pub(super) list_ocf_providers: bool,
    /// List the agents of a standard and provider (ocf:heartbeat).
    #[arg(long, value_name = "STANDARD[:PROVIDER]")]
    pub(super) list_agents: Option<String>,
    /// List who provides this OCF agent here.
    #[arg(long, value_name = "AGENT")]
    pub(super) list_ocf_alternatives: Option<String>,
    /// Show what an agent says of itself (ocf:heartbeat:IPaddr2).
    #[arg(long, value_name = "STANDARD:PROVIDER:AGENT")]
    pub(super) show_metadata: Option<String>,
    /// Show a resource's definition, with what its template gives it.
    #[arg(short = 'q', long)]
    pub(super) query_xml: bool,
    /// Show a resource's definition as it stands in the configuration.
    #[arg(short = 'w', long)]
    pub(super) query_xml_raw: bool,
    /// Show where a resource runs.
    #[arg(short = 'W', long)]
    pub(super) locate: bool,
    /// Show a resource's constraints, and those of all it is bound to.
    #[arg(short = 'A', long)]
    pub(super) stack: bool,
    /// Show a resource's constraints.
    #[arg(short = 'a', long)]
    pub(super) constraints: bool,
    /// Show why resources run, or do not.
    #[arg(short = 'Y', long)]
    pub(super) why: bool,

    /// Ask the agent whether the parameters of a resource are right.
    #[arg(long)]
    pub(super) validate: bool,
    /// Forget failures, so that the resource is looked at anew.
    #[arg(short = 'C', long)]
    pub(super) cleanup: bool,
    /// Forget the whole history, failed or not.
    #[arg(short = 'R', long)]
    pub(super) refresh: bool,
    /// Set a parameter, to --parameter-value (with --meta, --utilization, --element: those).
    #[arg(short = 'p', long, value_name = "NAME")]
    pub(super) set_parameter: Option<String>,
    /// Show a parameter.
    #[arg(short = 'g', long, value_name = "NAME")]
    pub(super) get_parameter: Option<String>,
    /// Delete a parameter.
    #[arg(short = 'd', long, value_name = "NAME")]
    pub(super) delete_parameter: Option<String>,
    /// Show an attribute of the definition (as --element --get-parameter).
    #[arg(short = 'G', long, value_name = "NAME", hide = true)]
    pub(super) get_property: Option<String>,
    /// Set an attribute of the definition (as --element --set-parameter).
    #[arg(short = 'S', long, value_name = "NAME", hide = true)]
    pub(super) set_property: Option<String>,
    /// Show how changes of a resource's parameters are noticed on --node.
    #[arg(long)]
    pub(super) digests: bool,
    /// Have it run on --node, or anywhere but where it runs now.
    #[arg(short = 'M', long = "move")]
    pub(super) move_it: bool,
    /// Keep it away from --node, or from where it runs now.
    #[arg(short = 'B', long)]
    pub(super) ban: bool,
    /// Remove what --move and --ban have left (on --node only, if given).
    #[arg(short = 'U', long)]
    pub(super) clear: bool,
    /// Delete a resource (with --resource-type).
    #[arg(short = 'D', long)]
    pub(super) delete: bool,
    /// Stop a resource and what depends on it, then start all of it again.
    #[arg(long)]
    pub(super) restart: bool,
    /// Wait until the cluster has nothing left to do.
    #[arg(long)]
    pub(super) wait: bool,
    /// Demote it on this node, past the cluster.
    #[arg(long)]
    pub(super) force_demote: bool,
    /// Stop it on this node, past the cluster.
    #[arg(long)]
    pub(super) force_stop: bool,
    /// Start it on this node, past the cluster.
    #[arg(long)]
    pub(super) force_start: bool,
    /// Promote it on this node, past the cluster.
    #[arg(long)]
    pub(super) force_promote: bool,
    /// Monitor it on this node, past the cluster.
    #[arg(long)]
    pub(super) force_check: bool,

    /// Which resource.
    #[arg(short = 'r', long, value_name = "ID")]
    pub(super) resource: Option<String>,
    /// Which node.
    #[arg(short = 'N', long, visible_aliases = ["host"], short_alias = 'H', value_name = "NAME")]
    pub(super) node: Option<String>,
    /// With --validate: standard of the agent, instead of a resource.
    #[arg(long, value_name = "CLASS")]
    pub(super) class: Option<String>,
    /// With --validate: its name.
    #[arg(long, value_name = "AGENT")]
    pub(super) agent: Option<String>,
    /// With --validate: who provides it.
    #[arg(long, value_name = "PROVIDER")]
    pub(super) provider: Option<String>,
    /// With --validate: a parameter.
    #[arg(long = "option", value_name = "NAME=VALUE")]
    pub(super) options: Vec<String>,
    /// With --clear: only what has ended.
    #[arg(short = 'e', long)]
    pub(super) expired: bool,
    /// How long --move and --ban are to hold (PT1H, P1D).
    #[arg(short = 'u', long, value_name = "DURATION")]
    pub(super) lifetime: Option<String>,
    /// Only the promoted role.
    #[arg(short = 'P', long, visible_alias = "master")]
    pub(super) promoted: bool,
    /// With --set-parameter: also of what is colocated with it; with --restart: and so on.
    #[arg(long)]
    pub(super) recursive: bool,
    /// With --cleanup: only failures of this operation.
    #[arg(short = 'n', long, value_name = "NAME")]
    pub(super) operation: Option<String>,
    /// With --operation: only of the one with this interval.
    #[arg(short = 'I', long, value_name = "TIME")]
    pub(super) interval: Option<String>,
    /// With --delete: primitive, group, clone, bundle.
    #[arg(short = 't', long, value_name = "KIND")]
    pub(super) resource_type: Option<String>,
    /// With --set-parameter.
    #[arg(short = 'v', long, value_name = "VALUE", allow_hyphen_values = true)]
    pub(super) parameter_value: Option<String>,
    /// Parameters in the set with this id.
    #[arg(short = 's', long, value_name = "ID")]
    pub(super) set_name: Option<String>,
    /// The parameter with this id.
    #[arg(short = 'i', long, value_name = "ID")]
    pub(super) nvpair: Option<String>,
    /// Meta-attributes: what the cluster is to know of the resource.
    #[arg(short = 'm', long, group = "kind")]
    pub(super) meta: bool,
    /// Utilization: what the resource needs of a node.
    #[arg(short = 'z', long, group = "kind")]
    pub(super) utilization: bool,
    /// Attributes of the definition itself.
    #[arg(long, group = "kind")]
    pub(super) element: bool,
    /// How long it may take.
    #[arg(short = 'T', long, value_name = "TIME")]
    pub(super) timeout: Option<String>,
    /// With --list-options: also the advanced and outdated ones.
    #[arg(long)]
    pub(super) all: bool,
    /// Do it although there are reasons not to.
    #[arg(short = 'f', long)]
    pub(super) force: bool,
    /// Only the essential.
    #[arg(short = 'Q', long)]
    pub(super) quiet: bool,
    /// With --digests, --validate and --force-…: parameters in place of the configured ones.
    #[arg(value_name = "NAME=VALUE")]
    pub(super) overrides: Vec<String>,
    #[command(flatten)]
    pub(super) common: CommonArguments,
}
