//! When everything is looked at.

use chrono::NaiveTime;

use super::reader::Reader;

/// How a time of day may be written.
const FORMS: [&str; 2] = ["%H:%M", "%H:%M:%S"];
/// Stands for never.
const OFF: &str = "off";

impl Reader {
    /// The time of day, in UTC, at which everything is looked at; the inner `None` is never.
    pub(super) fn diagnose_at(&mut self) -> Option<Option<NaiveTime>> {
        let text = self.text("DIAGNOSE_AT");
        if text == OFF {
            return Some(None);
        }
        let mut read = FORMS
            .iter()
            .map(|form| NaiveTime::parse_from_str(&text, form));
        let at = read.find_map(Result::ok);
        if at.is_none() {
            self.problem(&format!(
                "DIAGNOSE_AT: must be a time of day in UTC, as 00:00, or off, not {text:?}"
            ));
        }
        at.map(Some)
    }
}
