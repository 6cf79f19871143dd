//! What was measured, and how it is printed.
//!
//! Whole numbers only: nanoseconds, bytes, per second. A ratio is in thousandths and rounded against
//! us, so that nothing looks better than it was.

use std::time::Duration;

use serde_json::{Value as Json, json};

/// One number with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Figure {
    /// Nanoseconds.
    Time(u64),
    /// Bytes.
    Bytes(u64),
    /// Times a second.
    Rate(u64),
    /// A number of things.
    Count(u64),
}

/// What a figure must come to (docs/performance.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bar {
    /// The median is not more than this.
    AtMost(Figure),
    /// The median and the 99th percentile are not more than these.
    BothAtMost(Figure, Figure),
    /// The 99th percentile is not more than this.
    TailAtMost(Figure),
    /// Not less than this.
    AtLeast(Figure),
    /// Not more than so many thousandths of what OpenSSH's agent needs.
    RatioAtMost(u64),
    /// At least so many thousandths of what OpenSSH's agent does.
    RatioAtLeast(u64),
}

/// The middle and the tail of many samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spread {
    /// Half of the samples are not more than this.
    pub(crate) median: Figure,
    /// All but one in a hundred are not more than this.
    pub(crate) tail: Option<Figure>,
}

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    what: String,
    ours: Spread,
    openssh: Option<Spread>,
    bar: Option<Bar>,
}

/// Many times.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    pub(crate) fn add(&mut self, took: Duration) {
        self.0.push(took);
    }

    /// Adds those of others.
    pub(crate) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// The middle and the tail.
    pub(crate) fn spread(mut self) -> Spread {
        self.0.sort_unstable();
        Spread {
            median: Figure::from(self.at(500)),
            tail: Some(Figure::from(self.at(990))),
        }
    }

    fn at(&self, thousandths: usize) -> Duration {
        let last = self.0.len().saturating_sub(1);
        let at = (self.0.len() * thousandths).div_ceil(1000);
        self.0
            .get(at.saturating_sub(1).min(last))
            .copied()
            .unwrap_or_default()
    }
}

impl From<Duration> for Figure {
    fn from(time: Duration) -> Self {
        Self::Time(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl From<Figure> for Spread {
    fn from(figure: Figure) -> Self {
        Self {
            median: figure,
            tail: None,
        }
    }
}

impl Figure {
    /// Milliseconds.
    pub(crate) const fn ms(ms: u64) -> Self {
        Self::Time(ms * 1_000_000)
    }

    /// Mebibytes.
    pub(crate) const fn mib(mib: u64) -> Self {
        Self::Bytes(mib * MIB)
    }

    pub(crate) const fn number(self) -> u64 {
        match self {
            Self::Time(number) | Self::Bytes(number) | Self::Rate(number) | Self::Count(number) => {
                number
            }
        }
    }

    /// So much more than `other`; nothing if it is less.
    pub(crate) const fn above(self, other: Self) -> Self {
        let more = self.number().saturating_sub(other.number());
        match self {
            Self::Time(_) => Self::Time(more),
            Self::Bytes(_) => Self::Bytes(more),
            Self::Rate(_) => Self::Rate(more),
            Self::Count(_) => Self::Count(more),
        }
    }

    const fn unit(self) -> &'static str {
        match self {
            Self::Time(_) => "ns",
            Self::Bytes(_) => "bytes",
            Self::Rate(_) => "per second",
            Self::Count(_) => "count",
        }
    }
}

impl std::fmt::Display for Figure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::Time(ns) if ns < 1000 => write!(f, "{ns} ns"),
            Self::Time(ns) if ns < 10_000_000 => write!(f, "{}.{} µs", ns / 1000, ns / 100 % 10),
            Self::Time(ns) => write!(f, "{}.{:02} ms", ns / 1_000_000, ns / 10_000 % 100),
            Self::Bytes(bytes) if bytes < 64 * 1024 => write!(f, "{bytes} B"),
            Self::Bytes(bytes) => {
                write!(f, "{}.{:02} MiB", bytes / MIB, bytes % MIB * 100 / MIB)
            }
            Self::Rate(rate) => write!(f, "{rate}/s"),
            Self::Count(count) => write!(f, "{count}"),
        }
    }
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, ours: impl Into<Spread>) -> Self {
        Self {
            what: what.into(),
            ours: ours.into(),
            openssh: None,
            bar: None,
        }
    }

    /// What OpenSSH's agent did in the same run.
    pub(crate) fn beside(mut self, openssh: impl Into<Spread>) -> Self {
        self.openssh = Some(openssh.into());
        self
    }

    pub(crate) const fn bar(mut self, bar: Bar) -> Self {
        self.bar = Some(bar);
        self
    }

    /// Ours to OpenSSH's in thousandths: rounded up, or down where more is better.
    fn ratio(&self) -> Option<u64> {
        let theirs = self.openssh?.median.number().max(1);
        let ours = self.ours.median.number().saturating_mul(1000);
        Some(match self.ours.median {
            Figure::Rate(_) => ours / theirs,
            Figure::Time(_) | Figure::Bytes(_) | Figure::Count(_) => ours.div_ceil(theirs),
        })
    }

    fn meets_bar(&self) -> Option<bool> {
        let Spread { median, tail } = self.ours;
        Some(match self.bar? {
            Bar::AtMost(most) => median <= most,
            Bar::BothAtMost(most, most_tail) => median <= most && tail? <= most_tail,
            Bar::TailAtMost(most) => tail? <= most,
            Bar::AtLeast(least) => median >= least,
            Bar::RatioAtMost(most) => self.ratio()? <= most,
            Bar::RatioAtLeast(least) => self.ratio()? >= least,
        })
    }

    fn cells(&self) -> [String; 7] {
        let spread = |spread: Option<Spread>| {
            let text = |figure: Option<Figure>| figure.map(|one| one.to_string());
            let median = text(spread.map(|one| one.median)).unwrap_or_default();
            let tail = text(spread.and_then(|one| one.tail)).unwrap_or_default();
            (median, tail)
        };
        let (median, tail) = spread(Some(self.ours));
        let (their_median, their_tail) = spread(self.openssh);
        let ratio = self.ratio().map(thousandths).unwrap_or_default();
        let bar = self.bar.map(|bar| {
            let met = match self.meets_bar() {
                Some(true) => "met",
                Some(false) => "MISSED",
                None => "not measured",
            };
            format!("{bar}: {met}")
        });
        [
            self.what.clone(),
            median,
            tail,
            their_median,
            their_tail,
            ratio,
            bar.unwrap_or_default(),
        ]
    }

    fn json(&self) -> Json {
        let spread = |spread: Spread| {
            json!({
                "unit": spread.median.unit(),
                "p50": spread.median.number(),
                "p99": spread.tail.map(Figure::number),
            })
        };
        json!({
            "what": self.what,
            "ours": spread(self.ours),
            "ssh_agent": self.openssh.map(spread),
            "ratio_thousandths": self.ratio(),
            "bar": self.bar.map(|bar| bar.to_string()),
            "met": self.meets_bar(),
        })
    }
}

impl std::fmt::Display for Bar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "≤ {most}"),
            Self::BothAtMost(most, tail) => write!(f, "≤ {most}, p99 ≤ {tail}"),
            Self::TailAtMost(most) => write!(f, "p99 ≤ {most}"),
            Self::AtLeast(least) => write!(f, "≥ {least}"),
            Self::RatioAtMost(most) => write!(f, "ratio ≤ {}", thousandths(*most)),
            Self::RatioAtLeast(least) => write!(f, "ratio ≥ {}", thousandths(*least)),
        }
    }
}

fn thousandths(number: u64) -> String {
    format!("{}.{:03}", number / 1000, number % 1000)
}

/// All rows as a table of Markdown, its columns aligned.
pub(crate) fn table(rows: &[Row]) -> String {
    let head = [
        "what",
        "p50",
        "p99",
        "ssh-agent p50",
        "ssh-agent p99",
        "ratio",
        "bar",
    ]
    .map(String::from);
    let cells: Vec<_> = rows.iter().map(Row::cells).collect();
    let mut widths = head.clone().map(|cell| cell.chars().count());
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let rule = widths.map(|width| "-".repeat(width));
    let lines = [&head, &rule].into_iter().chain(&cells);
    let padded = |(cell, width): (&String, &usize)| {
        let padding = width - cell.chars().count();
        format!("| {cell}{} ", " ".repeat(padding))
    };
    lines
        .map(|row| row.iter().zip(&widths).map(padded).collect::<String>() + "|\n")
        .collect()
}

/// All rows as JSON.
pub(crate) fn as_json(rows: &[Row]) -> Json {
    rows.iter().map(Row::json).collect()
}

const MIB: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(count: u64) -> Samples {
        Samples((1..=count).rev().map(Duration::from_millis).collect())
    }

    #[test]
    fn half_of_the_samples_are_below_the_median_and_one_in_a_hundred_above_the_tail() {
        let spread = samples(1000).spread();
        assert_eq!(spread.median, Figure::ms(500));
        assert_eq!(spread.tail, Some(Figure::ms(990)));
        assert_eq!(samples(1).spread().tail, Some(Figure::ms(1)));
    }

    #[test]
    fn a_ratio_is_rounded_against_us() {
        let time = Row::new("time", Figure::Time(1)).beside(Figure::Time(3));
        assert_eq!(time.ratio(), Some(334));
        let rate = Row::new("rate", Figure::Rate(2)).beside(Figure::Rate(3));
        assert_eq!(rate.ratio(), Some(666));
    }

    #[test]
    fn a_bar_is_met_at_the_bar_and_missed_beyond_it() {
        let met = |ours, bar| Row::new("", ours).bar(bar).meets_bar();
        let most = Bar::AtMost(Figure::ms(3));
        assert_eq!(met(Spread::from(Figure::ms(3)), most), Some(true));
        assert_eq!(met(Figure::Time(3_000_001).into(), most), Some(false));
        let least = Bar::AtLeast(Figure::Count(20));
        assert_eq!(met(Figure::Count(20).into(), least), Some(true));
        assert_eq!(met(Figure::Count(19).into(), least), Some(false));
        let both = Bar::BothAtMost(Figure::ms(500), Figure::ms(989));
        assert_eq!(met(samples(1000).spread(), both), Some(false));
        let tail = Bar::TailAtMost(Figure::ms(990));
        assert_eq!(met(samples(1000).spread(), tail), Some(true));
    }

    #[test]
    fn without_a_peer_a_ratio_is_neither_met_nor_missed() {
        let row = Row::new("", Figure::ms(1)).bar(Bar::RatioAtMost(1000));
        assert_eq!(row.meets_bar(), None);
        assert!(table(&[row]).contains("ratio ≤ 1.000: not measured"));
    }
}
