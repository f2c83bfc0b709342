//! Small formats of fencing parameters.

use std::collections::BTreeMap;

/// `20s`, `2min`, `1h`, `500ms`, `20` (seconds): milliseconds.
pub fn parse_ms(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "ms" | "msec" => 1,
        "" | "s" | "sec" => 1_000,
        "m" | "min" => 60_000,
        "h" | "hr" => 3_600_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// `node:port;node:port1,port2`: ports by node. Separated by `;`, spaces or tabs; what is no pair comes second.
pub(crate) fn host_map(text: &str) -> (BTreeMap<String, String>, Vec<String>) {
    let mut map = BTreeMap::new();
    let mut wrong = Vec::new();
    for pair in text.split([';', ' ', '\t', '\n']).filter(|p| !p.is_empty()) {
        match pair.split_once([':', '=']) {
            Some((node, port)) if !node.is_empty() && !port.is_empty() => {
                map.insert(node.to_owned(), port.to_owned());
            }
            _ => wrong.push(pair.to_owned()),
        }
    }
    (map, wrong)
}

/// Names separated by blanks, `,` or `;`.
pub fn host_list(text: &str) -> Vec<String> {
    text.split([',', ';', ' ', '\t', '\n'])
        .filter(|n| !n.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Booleans as the CIB writes them.
pub(crate) fn is_true(text: &str) -> bool {
    matches!(
        text.trim().to_ascii_lowercase().as_str(),
        "1" | "true" | "yes" | "on" | "y"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_maps() {
        let (map, wrong) = host_map("n1:1;n2:2,3 n3=vm-3;oops;");
        assert_eq!(map.get("n2").map(String::as_str), Some("2,3"));
        assert_eq!(map.get("n3").map(String::as_str), Some("vm-3"));
        assert_eq!(wrong, ["oops"]);
    }

    #[test]
    fn times() {
        assert_eq!(parse_ms("5"), Some(5_000));
        assert_eq!(parse_ms("2min"), Some(120_000));
        assert_eq!(parse_ms("x"), None);
    }
}
