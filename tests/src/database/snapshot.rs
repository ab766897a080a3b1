//! What a store holds at one moment: made once, asked as often as needed. Which store it was does not show.

use std::collections::HashSet;

use rusqlite::Connection;

/// What must not be found, each with the query that finds it. The first column names what is wrong.
pub(super) type Promises = &'static [(&'static str, &'static str)];

/// The promise that operations cannot keep which were imported from the replaced system.
const CHARGED_ONCE: &str = "a charge is not in the ledger once";

/// A view of a store that does not change.
#[derive(Debug)]
pub struct Snapshot {
    connection: Connection,
    promises: &'static [Promises],
}

impl Snapshot {
    pub(super) fn new(connection: Connection, promises: &'static [Promises]) -> Self {
        Self {
            connection,
            promises,
        }
    }

    /// Every promise that is broken, in words.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn broken_promises(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for (what, query) in self.promises.iter().copied().flatten() {
            let found = self.texts(query).into_iter();
            broken.extend(found.map(|found| format!("{what}: {found}")));
        }
        broken
    }

    /// Holds it to every promise.
    ///
    /// # Panics
    /// With what it breaks.
    pub fn check(&self) {
        none(&self.broken_promises());
    }

    /// Holds it to every promise, where these operations were imported: they were paid for elsewhere, so the ledger has no
    /// charge for them.
    ///
    /// # Panics
    /// With what it breaks.
    pub fn check_imported(&self, imported: &[String]) {
        let lines = imported.iter().map(|id| format!("{CHARGED_ONCE}: {id}"));
        let allowed: HashSet<String> = lines.collect();
        let mut broken = self.broken_promises();
        broken.retain(|line| !allowed.contains(line));
        none(&broken);
        let ids = imported.join("', '");
        let charges = format!(
            "select count(*) from ledger where reason = 'charge' and operation in ('{ids}')"
        );
        assert_eq!(self.number(&charges), 0, "charged twice");
    }

    /// One number.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn number(&self, query: &str) -> i64 {
        self.connection
            .query_row(query, [], |row| row.get(0))
            .unwrap_or_else(|error| panic!("{query}: {error}"))
    }

    /// The first column of all rows.
    ///
    /// # Panics
    /// When the query fails.
    #[must_use]
    pub fn texts(&self, query: &str) -> Vec<String> {
        let mut statement = self
            .connection
            .prepare(query)
            .unwrap_or_else(|error| panic!("{query}: {error}"));
        let rows = statement.query_map([], |row| row.get(0)).expect("rows");
        rows.map(|row| row.expect("a text")).collect()
    }

    /// The codes of all results, as `operation probe code`.
    ///
    /// # Panics
    /// When one is there twice.
    #[must_use]
    pub fn result_codes(&self) -> HashSet<String> {
        let mut codes = HashSet::new();
        for code in self.texts("select operation || ' ' || probe || ' ' || code from results") {
            assert!(codes.insert(code.clone()), "{code} is there twice");
        }
        codes
    }
}

fn none(broken: &[String]) {
    assert!(
        broken.is_empty(),
        "the store breaks promises:\n{}",
        broken.join("\n")
    );
}
