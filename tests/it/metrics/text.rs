//! Reads Prometheus's text format.

use std::collections::{BTreeMap, BTreeSet};

use tests::Api;

/// One number.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) value: f64,
}

/// Everything that a hub shows.
#[derive(Debug)]
pub(super) struct Metrics {
    /// As it was sent.
    pub(super) text: String,
    /// Name and type of each metric.
    pub(super) types: BTreeMap<String, String>,
    pub(super) samples: Vec<Sample>,
}

impl Metrics {
    /// What the hub at this address shows now.
    pub(super) async fn of(api: &Api) -> Self {
        let answer = api.get("/metrics").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let kind = answer.headers["content-type"].to_str().expect("text");
        assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
        Self::read(&answer.text())
    }

    fn read(text: &str) -> Self {
        let types = text.lines().filter_map(|line| {
            let (name, kind) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
            Some((name.to_owned(), kind.to_owned()))
        });
        let lines = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self {
            types: types.collect(),
            samples: lines.map(sample).collect(),
            text: text.to_owned(),
        }
    }

    /// The number with exactly these labels; 0 where there is none.
    pub(super) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let wanted: BTreeMap<String, String> = labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let mut samples = self.samples.iter();
        samples
            .find(|sample| sample.name == name && sample.labels == wanted)
            .map_or(0.0, |sample| sample.value)
    }

    /// The metric that a name in a query belongs to: histograms have three.
    pub(super) fn metric_of<'a>(&self, name: &'a str) -> Option<&'a str> {
        if self.types.contains_key(name) {
            return Some(name);
        }
        let endings = ["_bucket", "_sum", "_count"].iter();
        let mut bases = endings.filter_map(|ending| name.strip_suffix(ending));
        bases.find(|base| {
            self.types
                .get(*base)
                .is_some_and(|kind| kind == "histogram")
        })
    }

    /// The labels that a metric's numbers have, but for the bounds of buckets.
    pub(super) fn labels_of(&self, metric: &str) -> BTreeSet<String> {
        let mut labels: BTreeSet<String> = self
            .samples
            .iter()
            .filter(|sample| self.metric_of(&sample.name) == Some(metric))
            .flat_map(|sample| sample.labels.keys().cloned())
            .collect();
        labels.remove("le");
        labels
    }
}

fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').expect("a number");
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    // No label of the hub has a comma, a quote or a backslash in it.
    let labels = labels.strip_suffix('}').expect("the end of the labels");
    let labels = labels.split(',').filter(|label| !label.is_empty());
    let label = |label: &str| {
        let (name, value) = label.split_once('=').expect("a label");
        (name.to_owned(), value.trim_matches('"').to_owned())
    };
    Sample {
        name: name.to_owned(),
        labels: labels.map(label).collect(),
        value: value.parse().expect("a number"),
    }
}
