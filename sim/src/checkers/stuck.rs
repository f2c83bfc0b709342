//! A core does not ask to be woken again and again for nothing. (One that forgets a deadline is never
//! woken, and shows in what does not happen: convergence.)

use super::{Checker, Truth};

#[derive(Debug, Default)]
pub(super) struct Stuck;

impl Checker for Stuck {
    fn name(&self) -> &'static str {
        "stuck"
    }

    fn see(&mut self, _now_ms: u64, truth: &Truth) -> Result<(), String> {
        match truth {
            Truth::Spins { node } => Err(format!(
                "{node} asks to be woken at a time that has come, although it was woken then"
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::judge;
    use super::*;

    #[test]
    fn spinning_is_noticed() {
        assert!(judge(Stuck, &[Truth::Spins { node: "a".into() }]).is_err());
    }
}
