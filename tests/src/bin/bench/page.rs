//! Shows the figures, and writes them down: a file of JSON for programs, `docs/benchmarks.md` for people.

use std::{
    fmt::{self, Write as _},
    fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    figure::{Figure, Section, Target},
    machine::Machine,
};

/// What stands before and after the figures in the page.
const BEGIN: &str = "<!-- figures: written by `make bench` -->";
const END: &str = "<!-- end of figures -->";

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Where.
    pub(crate) machine: Machine,
    /// How long all of it took, seconds.
    pub(crate) took_s: u64,
    /// What.
    pub(crate) sections: Vec<Section>,
}

impl Report {
    /// As Markdown, which is also what a terminal shows.
    pub(crate) fn markdown(&self) -> String {
        let mut out = String::new();
        self.write(&mut out).expect("memory");
        out
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        let machine = &self.machine;
        writeln!(
            out,
            "{} cores ({}), {:.0} GiB of memory, Linux {}, hub {} ({} build); load of the machine before: {:.1}; {} s in all.",
            machine.cores,
            machine.processor,
            machine.memory_gib,
            machine.kernel,
            machine.hub,
            if cfg!(debug_assertions) {
                "debug"
            } else {
                "release"
            },
            machine.load_before,
            self.took_s
        )?;
        for section in &self.sections {
            section.write(out)?;
        }
        Ok(())
    }

    /// Targets that were missed.
    pub(crate) fn missed(&self) -> usize {
        self.sections.iter().map(Section::missed).sum()
    }

    /// Keeps everything for programs.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn keep(&self, path: &Path) -> io::Result<()> {
        let text = serde_json::to_string_pretty(self).expect("JSON");
        fs::write(path, text + "\n")
    }

    /// Puts the figures into the page, in place of the ones before.
    ///
    /// # Panics
    /// When the page has no place for them.
    pub(crate) fn publish(&self) {
        let path = page();
        let text = fs::read_to_string(&path).expect("docs/benchmarks.md");
        let (before, rest) = text
            .split_once(BEGIN)
            .expect("the beginning of the figures");
        let (_, after) = rest.split_once(END).expect("the end of the figures");
        let figures = self.markdown();
        fs::write(&path, format!("{before}{BEGIN}\n{figures}{END}{after}"))
            .expect("docs/benchmarks.md");
    }
}

impl Section {
    fn write(&self, out: &mut String) -> fmt::Result {
        writeln!(out, "\n## {}\n", self.title)?;
        if let Some(why) = &self.skipped {
            return writeln!(out, "skipped: {why}");
        }
        writeln!(out, "{}\n", self.how)?;
        writeln!(out, "| figure | hub | limit | ratio | target | |")?;
        writeln!(out, "| --- | ---: | ---: | ---: | --- | --- |")?;
        for figure in &self.figures {
            figure.write(out)?;
        }
        if !self.more.is_empty() {
            writeln!(out, "\n{}", self.more.trim_end())?;
        }
        Ok(())
    }
}

impl Figure {
    fn write(&self, out: &mut String) -> fmt::Result {
        let value = |value: f64| format!("{} {}", short(value), self.unit);
        let limit = self.limit.as_ref().map_or_else(String::new, |limit| {
            format!("{}: {}", limit.what, value(limit.value))
        });
        let ratio = self
            .ratio()
            .map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let targets = self.targets.iter();
        let wanted: Vec<String> = targets
            .clone()
            .map(|target| match target {
                Target::AtLeast(least) => format!("at least {least:.1}"),
                Target::AtMost(most) => format!("at most {most:.1}"),
                Target::Below(bound) => format!("below {}", value(*bound)),
            })
            .collect();
        let verdicts: Vec<&str> = targets
            .map(|target| match self.meets(*target) {
                true => "met",
                false => "**missed**",
            })
            .collect();
        writeln!(
            out,
            "| {} | {} | {limit} | {ratio} | {} | {} |",
            self.what,
            value(self.hub),
            wanted.join("; "),
            verdicts.join("; ")
        )
    }
}

/// Three digits that count, or all of a large number.
fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks.md")
}
