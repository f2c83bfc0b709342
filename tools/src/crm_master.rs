//! `crm_master`: the promotion score of a resource, as agents set it: `crm_attribute --promotion`
//! by its old name.

use crate::crm_attribute;
use std::{ffi::OsString, process::ExitCode};

/// The program.
pub(crate) fn main(args: Vec<OsString>) -> ExitCode {
    let mut resource = OsString::new();
    let mut others = Vec::new();
    let mut rest = args.into_iter();
    while let Some(arg) = rest.next() {
        let text = arg.to_string_lossy();
        if text == "-r" || text == "--resource-id" {
            resource = rest.next().unwrap_or_default();
        } else if let Some(named) = text.strip_prefix("--resource-id=") {
            resource = named.into();
        } else {
            others.push(arg);
        }
    }
    let mut args: Vec<OsString> = vec!["--promotion".into(), resource];
    args.append(&mut others);
    crm_attribute::main(args)
}
