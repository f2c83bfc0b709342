//! What ran, what failed, what was skipped and why.

/// The count that the last line of `verify` and `test` is made from.
#[derive(Default)]
pub(crate) struct Tally {
    passed: u64,
    failures: Vec<String>,
    failed: u64,
    skipped: Vec<String>,
}

impl Tally {
    /// One check that is either right or wrong; `name` is shown when it is wrong.
    pub(crate) fn check(&mut self, name: &str, ok: bool) {
        if ok {
            self.passed += 1;
        } else {
            self.failed += 1;
            self.failures.push(name.to_owned());
        }
        println!("{} {name}", if ok { "ok    " } else { "FAILED" });
    }

    /// Something that could not run here, and why.
    pub(crate) fn skip(&mut self, what: &str) {
        println!("skip   {what}");
        self.skipped.push(what.to_owned());
    }

    /// Takes over the counts in the output of `cargo test`.
    pub(crate) fn cargo_test(&mut self, step: &str, ok: bool, output: &str) {
        let (passed, failed) = counts(output);
        let skipped: Vec<String> = skips(output);
        self.passed += passed.saturating_sub(skipped.len() as u64);
        self.failed += failed;
        self.failures.extend(failed_tests(output));
        self.skipped.extend(skipped);
        if !ok && failed == 0 {
            self.check(
                &format!("{step}: did not build, or a test program ended early"),
                false,
            );
        }
        println!("{step}: {passed} passed, {failed} failed");
    }

    /// How many failed so far.
    pub(crate) fn failed(&self) -> u64 {
        self.failed
    }

    /// Skips, failures, and the last line.
    pub(crate) fn print(&self) {
        println!();
        for what in &self.skipped {
            println!("skipped: {what}");
        }
        for what in &self.failures {
            println!("failed: {what}");
        }
        println!("{} passed, {} failed", self.passed, self.failed);
    }
}

/// Sums the `test result:` lines.
fn counts(output: &str) -> (u64, u64) {
    let results = output
        .lines()
        .filter(|l| l.trim_start().starts_with("test result:"));
    results.fold((0, 0), |(passed, failed), line| {
        (
            passed + number_before(line, " passed"),
            failed + number_before(line, " failed"),
        )
    })
}

fn number_before(line: &str, word: &str) -> u64 {
    let before = line.split(word).next().unwrap_or_default();
    let digits = before.rsplit(|c: char| !c.is_ascii_digit()).next();
    digits.and_then(|d| d.parse().ok()).unwrap_or(0)
}

/// A test that cannot run here prints a line `skipped: REASON`.
fn skips(output: &str) -> Vec<String> {
    let lines = output.lines().map(str::trim);
    let reasons = lines.filter_map(|l| {
        l.strip_prefix("skipped: ")
            .or_else(|| l.strip_prefix("SKIPPED: "))
    });
    reasons.map(str::to_owned).collect()
}

fn failed_tests(output: &str) -> Vec<String> {
    let lines = output.lines().map(str::trim);
    let failed = lines.filter_map(|l| l.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
    failed.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
running 3 tests
test a ... ok
test b ... FAILED
test c ... ok
skipped: c: no namespaces here
test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    #[test]
    fn sums_every_test_program() {
        assert_eq!(counts(OUTPUT), (14, 1));
        assert_eq!(failed_tests(OUTPUT), ["b"]);
    }

    #[test]
    fn a_skipped_test_is_not_a_passed_one() {
        let mut tally = Tally::default();
        tally.cargo_test("unit", false, OUTPUT);
        assert_eq!((tally.passed, tally.failed), (13, 1));
        assert_eq!(tally.skipped, ["c: no namespaces here"]);
    }

    #[test]
    fn a_broken_build_is_a_failure() {
        let mut tally = Tally::default();
        tally.cargo_test("unit", false, "error: could not compile");
        assert_eq!(tally.failed(), 1);
    }
}
