//! Digests of operation parameters: how a change of configuration is noticed.

use md5::{Digest, Md5};

/// Digest of parameters as operation histories hold it (`op-digest`): MD5 of `<parameters …/>` with the
/// attributes sorted by name, after a blank and before a line end.
pub fn of_parameters<'p>(params: impl IntoIterator<Item = (&'p str, &'p str)>) -> String {
    let mut sorted: Vec<(&str, &str)> = params.into_iter().collect();
    sorted.sort_unstable();
    let mut text = String::from(" <parameters");
    for (name, value) in sorted {
        text.push(' ');
        text.push_str(name);
        text.push_str("=\"");
        escape(value, &mut text);
        text.push('"');
    }
    text.push_str("/>\n");
    let mut out = String::with_capacity(32);
    for byte in Md5::digest(text.as_bytes()) {
        use std::fmt::Write as _;
        let _ = write!(out, "{byte:02x}");
    }
    out
}

fn escape(value: &str, out: &mut String) {
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            '\r' => out.push_str("&#13;"),
            c => out.push(c),
        }
    }
}

/// Whether an attribute of an action is one the cluster added, not a parameter of the agent.
pub fn is_meta(name: &str) -> bool {
    name.starts_with("CRM_meta_")
        || matches!(
            name,
            "crm_feature_set" | "rsc_provides" | "op_target_rc" | "id"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_parameters() {
        assert_eq!(of_parameters([]), "f2317cad3d54cec5d7d7aa7d0bf35cf8");
    }
}
