//! What the person who waits is told: notes as they come, of each sort a few and then their number, and at the end how
//! much of each part was taken.

use std::{collections::BTreeMap, fmt};

use crate::transfer::Observer;

/// Notes of one sort that are told one by one.
const ONE_BY_ONE: u64 = 20;
/// Characters of a text that a note repeats.
const LONGEST_QUOTE: usize = 80;

/// What a note is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sort {
    /// A document was not taken.
    NotTaken,
    /// A user's address changed.
    Address,
    /// A user's password is lost.
    Password,
    /// A balance changed.
    Balance,
    /// A probe's place changed.
    Place,
    /// An operation names probes that are not there.
    Probes,
    /// Parameters are not kept as they were sent.
    Parameters,
    /// An operation that is not over ends.
    Running,
    /// The price changed.
    Price,
    /// A result was not taken.
    Result,
    /// A result was taken without its document.
    Document,
}

impl Sort {
    /// Many of them.
    const fn of_many(self) -> &'static str {
        match self {
            Self::NotTaken => "documents that could not be taken",
            Self::Address => "users whose address is another now",
            Self::Password => "users whose password is lost",
            Self::Balance => "users whose balance is another now",
            Self::Place => "probes whose place is another now",
            Self::Probes => "operations that name probes which are not there",
            Self::Parameters => "operations whose parameters are not shown as they were sent",
            Self::Running => "operations that were not over and end now",
            Self::Price => "operations whose price is another now",
            Self::Result => "results that could not be taken",
            Self::Document => "results whose document could not be taken",
        }
    }
}

/// Tells notes.
pub(super) struct Notes<'a> {
    observer: &'a mut dyn Observer,
    told: BTreeMap<Sort, u64>,
}

impl<'a> Notes<'a> {
    /// Tells them to this observer.
    pub(super) fn to(observer: &'a mut dyn Observer) -> Self {
        Self {
            observer,
            told: BTreeMap::new(),
        }
    }

    /// Tells a note, or counts it.
    pub(super) fn add(&mut self, sort: Sort, line: impl FnOnce() -> String) {
        let told = self.told.entry(sort).or_default();
        *told += 1;
        if *told <= ONE_BY_ONE {
            self.observer.note(&line());
        }
    }

    /// Tells how far it is.
    pub(super) fn progress(&mut self, what: &str, done: u64, total: u64) {
        self.observer.progress(what, done, total);
    }

    /// Tells how many notes were only counted.
    pub(super) fn finish(&mut self) {
        for (sort, told) in &self.told {
            let more = told.saturating_sub(ONE_BY_ONE);
            if more > 0 {
                let line = format!("and {more} more {}", sort.of_many());
                self.observer.note(&line);
            }
        }
    }
}

/// A text of the old database as a note repeats it: cut, and without what a terminal would obey.
pub(super) fn quoted(text: &str) -> String {
    let mut cut: String = text.chars().take(LONGEST_QUOTE).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    format!("{cut:?}")
}

/// What became of one part. `found` is the sum of the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// In the old database.
    pub found: u64,
    /// Written, or in a rehearsal convertible.
    pub taken: u64,
    /// In the store already.
    pub there: u64,
    /// Not convertible.
    pub left: u64,
}

impl Count {
    pub(super) fn taken(&mut self) {
        self.found += 1;
        self.taken += 1;
    }

    pub(super) fn there(&mut self) {
        self.found += 1;
        self.there += 1;
    }

    pub(super) fn left(&mut self) {
        self.found += 1;
        self.left += 1;
    }

    pub(super) fn add(&mut self, other: Self) {
        self.found += other.found;
        self.taken += other.taken;
        self.there += other.there;
        self.left += other.left;
    }
}

/// What became of an old database. Prints as a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Imported {
    /// Users.
    pub users: Count,
    /// Probes.
    pub probes: Count,
    /// Operations.
    pub operations: Count,
    /// Results, which lay inside the operations.
    pub results: Count,
}

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads = ["found", "taken", "were there", "not taken"];
        write!(f, "{:10}", "")?;
        for head in heads {
            write!(f, "{head:>12}")?;
        }
        let rows = [
            ("users", self.users),
            ("probes", self.probes),
            ("operations", self.operations),
            ("results", self.results),
        ];
        for (name, count) in rows {
            write!(f, "\n{name:10}")?;
            for number in [count.found, count.taken, count.there, count.left] {
                write!(f, "{number:>12}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Keeps the notes.
    #[derive(Default)]
    pub(in super::super) struct Lines(pub(in super::super) Vec<String>);

    impl Observer for Lines {
        fn progress(&mut self, _: &str, _: u64, _: u64) {}
        fn note(&mut self, line: &str) {
            self.0.push(line.to_owned());
        }
    }

    #[test]
    fn a_few_of_a_sort_are_told_and_the_rest_counted() {
        let mut lines = Lines::default();
        let mut notes = Notes::to(&mut lines);
        for number in 1..=1000 {
            notes.add(Sort::Result, || format!("result {number}"));
        }
        notes.add(Sort::Price, || "price".to_owned());
        notes.finish();
        assert_eq!(lines.0.len(), 22);
        assert_eq!(lines.0[19], "result 20");
        assert_eq!(lines.0[20], "price");
        assert_eq!(lines.0[21], "and 980 more results that could not be taken");
    }

    #[test]
    fn texts_are_quoted_for_terminals() {
        assert_eq!(quoted("a\u{1b}[2J\n"), r#""a\u{1b}[2J\n""#);
        assert_eq!(quoted(&"x".repeat(1000)).chars().count(), 83);
    }

    #[test]
    fn the_table_has_a_row_for_each_part() {
        let mut imported = Imported::default();
        imported.users.taken();
        imported.results.left();
        imported.probes.there();
        let text = imported.to_string();
        let rows: Vec<Vec<&str>> = text
            .lines()
            .skip(1)
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(rows[0], ["users", "1", "1", "0", "0"]);
        assert_eq!(rows[1], ["probes", "1", "0", "1", "0"]);
        assert_eq!(rows[3], ["results", "1", "0", "0", "1"]);
    }
}
