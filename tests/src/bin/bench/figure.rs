//! What was measured: a hub beside its limit in the same run, and what that shall be at least.

use std::time::Duration;

use serde::Serialize;

/// What a hub did.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figure {
    /// What it is, in a few words.
    pub(crate) what: String,
    /// Of both values.
    pub(crate) unit: &'static str,
    /// The hub's value.
    pub(crate) hub: f64,
    /// What can be reached without a hub, measured in the same run.
    pub(crate) limit: Option<Limit>,
    /// What is wanted.
    pub(crate) targets: Vec<Target>,
}

/// What can be reached without a hub.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Limit {
    /// By what, in a few words.
    pub(crate) what: String,
    /// How much.
    pub(crate) value: f64,
    /// How many times that the hub's value is.
    pub(crate) ratio: f64,
}

/// What is wanted of a hub.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    /// At least so many times the limit.
    AtLeast(f64),
    /// At most so many times the limit.
    AtMost(f64),
    /// Less than that, whatever the limit.
    Below(f64),
}

impl Figure {
    /// A value without a limit and without a target.
    pub(crate) fn new(what: impl Into<String>, unit: &'static str, hub: f64) -> Self {
        Self {
            what: what.into(),
            unit,
            hub,
            limit: None,
            targets: Vec::new(),
        }
    }

    /// Beside that limit.
    pub(crate) fn beside(mut self, what: impl Into<String>, value: f64) -> Self {
        self.limit = Some(Limit {
            what: what.into(),
            value,
            ratio: self.hub / value,
        });
        self
    }

    /// With a target.
    pub(crate) fn target(mut self, target: Target) -> Self {
        self.targets.push(target);
        self
    }

    /// How many times the limit it is.
    pub(crate) fn ratio(&self) -> Option<f64> {
        self.limit.as_ref().map(|limit| limit.ratio)
    }

    /// Whether it is what is wanted; a target that needs a limit is missed without one.
    pub(crate) fn meets(&self, target: Target) -> bool {
        match target {
            Target::AtLeast(least) => self.ratio().is_some_and(|ratio| ratio >= least),
            Target::AtMost(most) => self.ratio().is_some_and(|ratio| ratio <= most),
            Target::Below(bound) => self.hub < bound,
        }
    }
}

/// Figures of one kind.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Section {
    /// What they are about, as a heading.
    pub(crate) title: &'static str,
    /// How they were measured, a paragraph of Markdown.
    pub(crate) how: String,
    /// The figures.
    pub(crate) figures: Vec<Figure>,
    /// What else was seen, as Markdown; may be empty.
    pub(crate) more: String,
    /// Why there are none, if so.
    pub(crate) skipped: Option<String>,
}

impl Section {
    /// A section that this machine cannot measure, and why.
    pub(crate) fn skipped(title: &'static str, why: String) -> Self {
        Self {
            title,
            how: String::new(),
            figures: Vec::new(),
            more: String::new(),
            skipped: Some(why),
        }
    }

    /// The targets that were missed.
    pub(crate) fn missed(&self) -> usize {
        let all = self.figures.iter();
        all.map(|figure| {
            let targets = figure.targets.iter();
            targets.filter(|target| !figure.meets(**target)).count()
        })
        .sum()
    }
}

/// Median; NaN of nothing.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        even if even.is_multiple_of(2) => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    }
}

/// By how much the second value grows with the first: least squares.
pub(crate) fn slope(points: &[(f64, f64)]) -> f64 {
    let count = f64::from(u32::try_from(points.len()).unwrap_or(u32::MAX));
    let mean_x = points.iter().map(|point| point.0).sum::<f64>() / count;
    let mean_y = points.iter().map(|point| point.1).sum::<f64>() / count;
    let up: f64 = points
        .iter()
        .map(|(x, y)| (x - mean_x) * (y - mean_y))
        .sum();
    let along: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    up / along
}

/// How many in a second.
pub(crate) fn rate(count: usize, took: Duration) -> f64 {
    u32::try_from(count).map_or(f64::NAN, f64::from) / took.as_secs_f64()
}

/// Milliseconds.
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// What so many of a hundred stay below, milliseconds; they are sorted. NaN of nothing.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(place).copied().map_or(f64::NAN, ms)
}
