//! What would bring a database up to date.

/// One step from a schema to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    /// The schema that it leads to.
    pub(crate) number: i64,
    /// What it brings, for people.
    pub(crate) name: &'static str,
}

/// What is to be done, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upgrade {
    /// The schema that there is; none where there is no database yet.
    pub(crate) from: Option<i64>,
    /// The newest that this program knows.
    pub(crate) to: i64,
    /// The steps between them.
    pub(crate) steps: Vec<Step>,
}
