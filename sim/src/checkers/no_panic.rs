//! A core never panics, whatever it is told.

use super::{Checker, Truth};

#[derive(Debug, Default)]
pub(super) struct NoPanic;

impl Checker for NoPanic {
    fn name(&self) -> &'static str {
        "no-panic"
    }

    fn see(&mut self, _now_ms: u64, truth: &Truth) -> Result<(), String> {
        match truth {
            Truth::Panicked { node, what } => Err(format!("{node}: {what}")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::judge;
    use super::*;

    #[test]
    fn a_panic_is_noticed() {
        let panic = Truth::Panicked {
            node: "a".into(),
            what: "index out of bounds".to_owned(),
        };
        assert!(judge(NoPanic, &[panic]).is_err());
    }
}
