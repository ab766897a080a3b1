//! Shows the figures, and writes them down: `target/bench.json` for programs, `docs/benchmarks.md` for people.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use crate::figures::{Cpu, Figures, Round, TARGET};

/// What stands before and after the figures in the page.
const BEGIN: &str = "<!-- figures: written by `make bench` -->";
const END: &str = "<!-- end of figures -->";

/// The figures as Markdown, which is also what a terminal shows.
pub(crate) fn table(figures: &Figures) -> String {
    let mut out = String::new();
    let write = &mut out;
    head(write, figures).expect("memory");
    rates(write, figures).expect("memory");
    costs(write, figures).expect("memory");
    out
}

fn head(out: &mut String, figures: &Figures) -> std::fmt::Result {
    let (machine, setup) = (&figures.machine, &figures.setup);
    writeln!(
        out,
        "{} cores ({}), {:.0} GiB of memory, Linux {}, MongoDB {}, hub {} (release build); load of the machine before: {:.1}.",
        machine.cores,
        machine.processor,
        machine.memory_gib,
        machine.kernel,
        machine.mongod,
        machine.hub,
        machine.load_before
    )?;
    let bytes = figures
        .rounds
        .first()
        .map_or(0, |round| round.document_bytes);
    writeln!(
        out,
        "{} probes with up to {} results unanswered each, {} rounds of {:.0} s; documents of {bytes} bytes on average.\n",
        setup.probes,
        setup.window,
        figures.rounds.len(),
        setup.seconds
    )
}

fn rates(out: &mut String, figures: &Figures) -> std::fmt::Result {
    let rounds = 1..=figures.rounds.len();
    let numbers: String = rounds.map(|number| format!(" round {number} |")).collect();
    writeln!(out, "| results a second | median |{numbers} hub's share |")?;
    let lines: String = figures.rounds.iter().map(|_| " ---: |").collect();
    writeln!(out, "| --- | ---: |{lines} ---: |")?;
    let mut row = |name: &str, share: Option<f64>, of: &dyn Fn(&Round) -> f64| {
        let rounds = figures.rounds.iter();
        let all: String = rounds.map(|round| format!(" {:.0} |", of(round))).collect();
        let median = figures.median(of);
        let share = share.map_or_else(String::new, |share| format!("{share:.2}"));
        writeln!(out, "| {name} | {median:.0} |{all} {share} |")
    };
    row("hub: acknowledged after a durable commit", None, &|round| {
        round.hub.per_second
    })?;
    for (place, inserts) in figures.rounds[0].inserts.iter().enumerate() {
        let name = match inserts.writers {
            1 => "bare `insert_many`, one batch after the other".to_owned(),
            many => format!("bare `insert_many`, {many} batches at a time"),
        };
        row(&name, Some(figures.share(place)), &|round| {
            round.inserts[place].per_second
        })?;
    }
    let verdict = if figures.is_on_target() {
        "met"
    } else {
        "MISSED"
    };
    writeln!(
        out,
        "\nShare of what one batch after the other reaches: **{:.2}**; target at least {TARGET:.2}: **{verdict}**.\n",
        figures.share(0)
    )
}

fn costs(out: &mut String, figures: &Figures) -> std::fmt::Result {
    writeln!(
        out,
        "| medians | waits, half below | waits, 99 % below | µs of processor a result: hub | MongoDB | probes or writers |"
    )?;
    writeln!(out, "| --- | ---: | ---: | ---: | ---: | ---: |")?;
    let mut row = |name: &str, p50: f64, p99: f64, cpu: Cpu| {
        writeln!(
            out,
            "| {name} | {p50:.0} ms | {p99:.0} ms | {:.1} | {:.1} | {:.1} |",
            cpu.hub, cpu.mongod, cpu.bench
        )
    };
    row(
        "hub: a result until its acknowledgement",
        figures.median(|round| round.hub.ack_p50_ms),
        figures.median(|round| round.hub.ack_p99_ms),
        Cpu {
            hub: figures.median(|round| round.hub.cpu_us.hub),
            mongod: figures.median(|round| round.hub.cpu_us.mongod),
            bench: figures.median(|round| round.hub.cpu_us.bench),
        },
    )?;
    for (place, inserts) in figures.rounds[0].inserts.iter().enumerate() {
        row(
            &format!(
                "bare: a batch of {}, {} at a time",
                figures.setup.batch, inserts.writers
            ),
            figures.median(|round| round.inserts[place].batch_p50_ms),
            figures.median(|round| round.inserts[place].batch_p99_ms),
            Cpu {
                hub: 0.0,
                mongod: figures.median(|round| round.inserts[place].cpu_us.mongod),
                bench: figures.median(|round| round.inserts[place].cpu_us.bench),
            },
        )?;
    }
    Ok(())
}

/// Keeps everything that was measured for programs, in the folder that holds what is built.
pub(crate) fn keep(figures: &Figures) {
    let us = std::env::current_exe().expect("the path of this program");
    let path = us.ancestors().nth(2).expect("a folder").join("bench.json");
    let text = serde_json::to_string_pretty(figures).expect("JSON");
    fs::write(&path, text + "\n").unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// Puts the figures into the page, in place of the ones before.
///
/// # Panics
/// When the page has no place for them.
pub(crate) fn publish(table: &str) {
    let path = page();
    let text = fs::read_to_string(&path).expect("docs/benchmarks.md");
    let (before, rest) = text
        .split_once(BEGIN)
        .expect("the beginning of the figures");
    let (_, after) = rest.split_once(END).expect("the end of the figures");
    fs::write(&path, format!("{before}{BEGIN}\n{table}{END}{after}")).expect("docs/benchmarks.md");
}

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks.md")
}
