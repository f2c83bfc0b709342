//! Names and ids as the tools make them.

/// A name as it may stand in an id: what XML does not allow there becomes a dot.
pub(crate) fn sanitized(name: &str) -> String {
    let allowed = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    name.chars()
        .map(|c| if allowed(c) { c } else { '.' })
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_have_no_hashes_and_colons() {
        assert_eq!(super::sanitized("#health-cts-cli"), ".health-cts-cli");
        assert_eq!(super::sanitized("last-failure-r:0"), "last-failure-r.0");
    }
}
