//! What an agent says about a failure.

/// What `ocf_exit_reason` puts before its text on standard error (`OCF_EXIT_REASON_PREFIX`).
pub(crate) const PREFIX: &str = "ocf-exit-reason:";

/// The last reason given.
pub(crate) fn exit_reason(stderr: &str) -> String {
    stderr
        .lines()
        .rev()
        .find_map(|line| line.split_once(PREFIX))
        .map(|(_, reason)| reason.trim().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_counts() {
        let text = "noise\nocf-exit-reason:first\nocf-exit-reason: disk is full \nmore noise";
        assert_eq!(exit_reason(text), "disk is full");
        assert_eq!(exit_reason("nothing of the kind"), "");
    }
}
