//! Exit codes of the OCF resource agent API, version 1.1 (chapter "Exit status codes").

/// What an agent says by its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OcfCode {
    /// 0: it worked, or the resource runs.
    Success,
    /// 1: something failed.
    ErrGeneric,
    /// 2: a parameter is wrong on this node.
    ErrArgs,
    /// 3: the agent has no such action.
    ErrUnimplemented,
    /// 4: not permitted.
    ErrPerm,
    /// 5: the software is not installed here.
    ErrInstalled,
    /// 6: the configuration is wrong everywhere.
    ErrConfigured,
    /// 7: it is cleanly stopped.
    NotRunning,
    /// 8: it runs, promoted.
    RunningPromoted,
    /// 9: it is promoted and failed.
    FailedPromoted,
    /// 190: it runs, but may fail soon.
    Degraded,
    /// 191: it runs promoted, but may fail soon.
    DegradedPromoted,
}

/// Every code with its number and its name in the field's tools.
const TABLE: &[(OcfCode, i32, &str)] = &[
    (OcfCode::Success, 0, "ok"),
    (OcfCode::ErrGeneric, 1, "error"),
    (OcfCode::ErrArgs, 2, "invalid parameter"),
    (OcfCode::ErrUnimplemented, 3, "unimplemented feature"),
    (OcfCode::ErrPerm, 4, "insufficient privileges"),
    (OcfCode::ErrInstalled, 5, "not installed"),
    (OcfCode::ErrConfigured, 6, "not configured"),
    (OcfCode::NotRunning, 7, "not running"),
    (OcfCode::RunningPromoted, 8, "promoted"),
    (OcfCode::FailedPromoted, 9, "promoted (failed)"),
    (OcfCode::Degraded, 190, "ok (degraded)"),
    (OcfCode::DegradedPromoted, 191, "promoted (degraded)"),
];

impl OcfCode {
    /// The code with this number, if the API knows it.
    pub fn from_number(number: i32) -> Option<Self> {
        TABLE
            .iter()
            .find(|(_, n, _)| *n == number)
            .map(|(code, _, _)| *code)
    }

    /// Its number.
    pub fn number(self) -> i32 {
        self.row().map_or(1, |(_, number, _)| *number)
    }

    /// Its name in the field's tools.
    pub fn name(self) -> &'static str {
        self.row().map_or("", |(_, _, name)| name)
    }

    fn row(self) -> Option<&'static (Self, i32, &'static str)> {
        TABLE.iter().find(|(code, _, _)| *code == self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_row() {
        for (code, number, name) in TABLE {
            assert_eq!(OcfCode::from_number(*number), Some(*code));
            assert_eq!((code.number(), code.name()), (*number, *name));
        }
        assert_eq!(OcfCode::from_number(42), None);
    }
}
