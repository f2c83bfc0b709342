//! `bench`: measurements as tables, for docs/results.

use crate::{
    checks::BUILD,
    run::{self, Show, cargo},
};

/// Builds what is measured.
pub(crate) fn build() -> bool {
    run::run(
        &mut cargo(&["build", "--release", "--locked"]),
        Show::OnlyFailure,
        BUILD,
    )
    .ok
}
