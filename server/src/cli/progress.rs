//! How a transfer goes, on standard error: on a terminal one line that is written over, else a line now and then, as a
//! log wants it. Results of commands go to standard output; this does not.

use std::{
    io::{self, IsTerminal as _, Stderr, Write},
    time::{Duration, Instant},
};

use pladmed::Observer;

/// How often the line on a terminal changes: faster than one can read helps nobody.
const REWRITTEN_EVERY: Duration = Duration::from_millis(100);
/// Pause between two lines of a log.
const WRITTEN_EVERY: Duration = Duration::from_secs(5);
/// Back to the line's beginning, and away with what stands there (ECMA-48: EL).
const CLEAR: &str = "\r\x1b[K";

/// Shows progress to a person. What cannot be written is not worth failing for.
pub(crate) struct Progress<W: Write + Send> {
    out: W,
    /// Whether the line is written over.
    is_terminal: bool,
    /// When something was shown last.
    shown_at: Option<Instant>,
    /// Whether a line stands there that is to be written over.
    is_open: bool,
}

impl Progress<Stderr> {
    /// On standard error.
    pub(crate) fn on_stderr() -> Self {
        Self::on(io::stderr(), io::stderr().is_terminal())
    }
}

impl<W: Write + Send> Progress<W> {
    fn on(out: W, is_terminal: bool) -> Self {
        Self {
            out,
            is_terminal,
            // A log hears nothing of what is over in a moment.
            shown_at: (!is_terminal).then(Instant::now),
            is_open: false,
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        let pause = if self.is_terminal {
            REWRITTEN_EVERY
        } else {
            WRITTEN_EVERY
        };
        self.shown_at
            .is_none_or(|shown_at| now.duration_since(shown_at) >= pause)
    }

    fn show(&mut self, now: Instant, line: &str) {
        self.shown_at = Some(now);
        let _ = if self.is_terminal {
            self.is_open = true;
            write!(self.out, "{CLEAR}{line}").and_then(|()| self.out.flush())
        } else {
            writeln!(self.out, "{line}")
        };
    }

    fn progress_at(&mut self, now: Instant, what: &str, done: u64, total: u64) {
        if self.is_due(now) {
            self.show(now, &line(what, done, total));
        }
    }

    /// Removes the line that is written over.
    fn clear(&mut self) {
        if std::mem::take(&mut self.is_open) {
            let _ = write!(self.out, "{CLEAR}").and_then(|()| self.out.flush());
        }
    }
}

/// Shares of a total that is a guess are told only while they can be true.
fn line(what: &str, done: u64, total: u64) -> String {
    match done.saturating_mul(100).checked_div(total) {
        Some(share) if done <= total => format!("{what}: {done} of {total} ({share}%)"),
        _ => format!("{what}: {done}"),
    }
}

impl<W: Write + Send> Observer for Progress<W> {
    fn progress(&mut self, what: &str, done: u64, total: u64) {
        self.progress_at(Instant::now(), what, done, total);
    }

    fn note(&mut self, line: &str) {
        self.clear();
        let _ = writeln!(self.out, "{line}");
    }
}

impl<W: Write + Send> Drop for Progress<W> {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(is_terminal: bool, play: impl FnOnce(&mut Progress<&mut Vec<u8>>)) -> String {
        let mut out = Vec::new();
        let mut progress = Progress::on(&mut out, is_terminal);
        play(&mut progress);
        drop(progress);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_terminal_has_one_line() {
        let text = shown(true, |progress| {
            let now = Instant::now();
            progress.progress_at(now, "users", 1, 4);
            progress.progress_at(now, "users", 2, 4);
            progress.progress_at(now + REWRITTEN_EVERY, "users", 3, 4);
            progress.note("look");
            progress.progress_at(now + 2 * REWRITTEN_EVERY, "users", 4, 4);
        });
        let lines = [
            "users: 1 of 4 (25%)",
            "users: 3 of 4 (75%)",
            "look\n",
            "users: 4 of 4 (100%)",
            "",
        ];
        assert_eq!(text, format!("{CLEAR}{}", lines.join(CLEAR)));
    }

    #[test]
    fn a_log_has_a_line_now_and_then() {
        let text = shown(false, |progress| {
            let now = Instant::now();
            progress.progress_at(now, "users", 1, 0);
            progress.note("look");
            progress.progress_at(now + WRITTEN_EVERY, "users", 2, 0);
            progress.progress_at(now + WRITTEN_EVERY, "users", 3, 0);
            progress.progress_at(now + 2 * WRITTEN_EVERY, "users", 4, 3);
        });
        assert_eq!(text, "look\nusers: 2\nusers: 4\n");
    }

    #[test]
    fn shares_are_of_what_is_known() {
        assert_eq!(line("users", 0, 0), "users: 0");
        assert_eq!(line("users", 0, 3), "users: 0 of 3 (0%)");
        assert_eq!(line("users", 2, 3), "users: 2 of 3 (66%)");
        assert_eq!(line("users", 4, 3), "users: 4");
        let all = format!("users: {0} of {0} (1%)", u64::MAX);
        assert_eq!(line("users", u64::MAX, u64::MAX), all);
    }
}
