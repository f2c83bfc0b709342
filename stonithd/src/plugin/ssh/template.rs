//! Commands with places for names.

/// What is put into a command.
pub(super) struct Machine<'a> {
    /// `{node}`: the target; empty when no node is meant.
    pub(super) node: &'a str,
    /// `{domain}`: what the hypervisor or the network calls it.
    pub(super) name: &'a str,
    /// `{uri}`: libvirt's connection.
    pub(super) uri: &'a str,
}

/// The command, each value in it one word of a shell; what a value brings with it is not looked at again.
///
/// # Errors
/// A name that cannot be trusted to be one.
pub(super) fn filled(template: &str, machine: &Machine<'_>) -> Result<String, String> {
    check_name(machine.node)?;
    check_name(machine.name)?;
    let values = [
        ("{domain}", machine.name),
        ("{node}", machine.node),
        ("{uri}", machine.uri),
    ];
    Ok(replaced(template, &values))
}

/// Names go into a command of a shell: quoted, and of harmless characters in the first place, in case a
/// template has quotes of its own.
fn check_name(name: &str) -> Result<(), String> {
    let usual = |c: char| c.is_alphanumeric() || " ._:@+=,%/-".contains(c);
    match name.chars().all(usual) && !name.starts_with('-') {
        true => Ok(()),
        false => Err(format!(
            "'{}' cannot be put into a command: letters, digits, blanks and ._:@+=,%/- are possible, no '-' at its beginning",
            name.escape_default()
        )),
    }
}

fn replaced(template: &str, values: &[(&str, &str)]) -> String {
    let mut command = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        command.push_str(before);
        match values.iter().find(|(name, _)| from.starts_with(name)) {
            Some((name, value)) => {
                command.push_str(&quoted(value));
                rest = from.get(name.len()..).unwrap_or_default();
            }
            None => {
                command.push('{');
                rest = from.get(1..).unwrap_or_default();
            }
        }
    }
    command.push_str(rest);
    command
}

fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_one_word() {
        let values = [("{domain}", "a'{uri};reboot"), ("{uri}", "u")];
        assert_eq!(
            replaced("x ${y} {domain} {uri} {", &values),
            r"x ${y} 'a'\''{uri};reboot' 'u' {"
        );
        for name in ["a;b", "a'b", "a$(b)", "a`b`", "-c", "a\nb", "a\"b", "a|b"] {
            assert!(check_name(name).is_err(), "{name}");
        }
        for name in ["vm-1", "node 1", "/vm/1.vmx", "größe"] {
            assert_eq!(check_name(name), Ok(()));
        }
    }
}
