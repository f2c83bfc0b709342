//! Prometheus' text format, version 0.0.4.

use super::Histogram;
use std::fmt::{Display, Write};

/// What a figure is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Only grows, until the daemon is started anew.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Count and sum.
    Summary,
}

/// The text so far.
#[derive(Debug, Default)]
pub(super) struct Text {
    out: String,
    name: &'static str,
}

/// Names and values that tell samples of one figure apart.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

impl Text {
    /// Begins a figure; its samples follow.
    pub(super) fn figure(&mut self, name: &'static str, kind: Kind, help: &str) -> &mut Self {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Summary => "summary",
        };
        self.head(name, kind, help);
        self
    }

    fn head(&mut self, name: &'static str, kind: &str, help: &str) {
        self.name = name;
        // Writing to a string does not fail; nor below.
        let _ = writeln!(
            self.out,
            "# HELP {name} {}\n# TYPE {name} {kind}",
            escaped(help, false)
        );
    }

    /// One sample of the figure begun last.
    pub(super) fn sample(&mut self, labels: Labels<'_>, value: impl Display) -> &mut Self {
        self.line("", labels, value);
        self
    }

    /// Count and sum of the summary begun last.
    pub(super) fn summary(&mut self, labels: Labels<'_>, count: u64, sum_s: f64) -> &mut Self {
        self.line("_sum", labels, sum_s);
        self.line("_count", labels, count);
        self
    }

    /// A whole histogram.
    pub(super) fn histogram(&mut self, name: &'static str, help: &str, histogram: &Histogram) {
        self.head(name, "histogram", help);
        let (bounds, sum_s) = histogram.cumulative();
        for (bound, count) in &bounds {
            self.line("_bucket", &[("le", bound)], count);
        }
        self.line("_sum", &[], sum_s);
        let count = bounds.last().map_or(0, |(_, count)| *count);
        self.line("_count", &[], count);
    }

    fn line(&mut self, suffix: &str, labels: Labels<'_>, value: impl Display) {
        let _ = write!(self.out, "{}{suffix}", self.name);
        for (nth, (name, value)) in labels.iter().enumerate() {
            let before = if nth == 0 { '{' } else { ',' };
            let _ = write!(self.out, "{before}{name}=\"{}\"", escaped(value, true));
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.out, "{end} {value}");
    }

    /// All of it.
    pub(super) fn finish(self) -> String {
        self.out
    }
}

fn escaped(text: &str, quotes: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    match quotes {
        true => text.replace('"', "\\\""),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn figures_as_prometheus_reads_them() {
        let mut text = Text::default();
        text.figure("a_total", Kind::Counter, "One\nand \\ two.")
            .sample(&[("node", "x\"y\\z\n"), ("state", "up")], 3)
            .sample(&[], 0.5);
        text.figure("b_seconds", Kind::Summary, "Time.")
            .summary(&[("op", "start")], 2, 1.25);
        let expected = "# HELP a_total One\\nand \\\\ two.\n\
            # TYPE a_total counter\n\
            a_total{node=\"x\\\"y\\\\z\\n\",state=\"up\"} 3\n\
            a_total 0.5\n\
            # HELP b_seconds Time.\n\
            # TYPE b_seconds summary\n\
            b_seconds_sum{op=\"start\"} 1.25\n\
            b_seconds_count{op=\"start\"} 2\n";
        assert_eq!(text.finish(), expected);
    }

    #[test]
    fn a_histogram_has_cumulative_bounds() {
        let histogram = Histogram::default();
        histogram.observe(Duration::from_millis(2));
        let mut text = Text::default();
        text.histogram("c_seconds", "Time.", &histogram);
        let text = text.finish();
        for line in [
            "# TYPE c_seconds histogram",
            "c_seconds_bucket{le=\"0.001\"} 0",
            "c_seconds_bucket{le=\"0.0025\"} 1",
            "c_seconds_bucket{le=\"+Inf\"} 1",
            "c_seconds_sum 0.002",
            "c_seconds_count 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in {text}");
        }
    }
}
