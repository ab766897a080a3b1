//! wrk, which asks for the same thing again and again, or each time for something else.

use std::time::Duration;

use ::tests::{process::on_path, wait::within};
use tempfile::NamedTempFile;
use tokio::process::Command;

/// Connections that wrk keeps busy. The processors are shared with who answers, so one thread of wrk does.
pub(crate) const CONNECTIONS: usize = 32;
/// Different things that are asked for: far more than connections, so that none is asked for twice at the same time.
const OTHERS: u32 = 900;
/// Longest wrk may take beyond its time.
const AROUND: Duration = Duration::from_secs(30);

/// What it found.
#[derive(Debug, PartialEq)]
pub(super) struct Load {
    /// Answers in a second.
    pub(super) per_second: f64,
    /// 99 of 100 came within that, milliseconds.
    pub(super) p99_ms: f64,
}

/// Why it cannot ask here, if so.
pub(crate) fn missing() -> Option<String> {
    on_path("wrk")
        .is_none()
        .then(|| "wrk is not installed (Debian's package wrk)".to_owned())
}

/// Asks for so long; with `other`, which ends the URL and has `{}` in it, for the first, the second, the third, and so on up
/// to [`OTHERS`] and from the beginning.
///
/// # Panics
/// When an answer is anything but a success.
pub(super) async fn ask(
    url: &str,
    other: Option<&str>,
    (name, value): &(&str, String),
    time: Duration,
) -> Load {
    let mut command = Command::new("wrk");
    let script = other.map(|other| script(url, other));
    if let Some(script) = &script {
        command.arg("--script").arg(script.path());
    }
    command
        .args(["--threads=1", "--latency", "--timeout=30s"])
        .arg(format!("--connections={CONNECTIONS}"))
        .arg(format!("--duration={}s", time.as_secs()))
        .args(["--header", &format!("{name}: {value}")])
        .arg(url)
        .kill_on_drop(true);
    let output = within(time + AROUND, "the end of wrk", command.output())
        .await
        .expect("wrk runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "wrk: {said}");
    for bad in ["Non-2xx", "Socket errors"] {
        assert!(!said.contains(bad), "not all answers were good: {said}");
    }
    read(&said).unwrap_or_else(|| panic!("wrk said something else: {said}"))
}

fn script(url: &str, other: &str) -> NamedTempFile {
    let path = url.splitn(4, '/').nth(3).expect("a path");
    let (before, after) = other.split_once("{}").expect("a place for a number");
    let file = NamedTempFile::new().expect("a file");
    let text = format!(
        "local number = 0\nfunction request()\n  number = number % {OTHERS} + 1\n  \
         return wrk.format(nil, \"/{path}{before}\" .. number .. \"{after}\")\nend\n"
    );
    std::fs::write(file.path(), text).expect("a script");
    file
}

fn read(said: &str) -> Option<Load> {
    let after = |name: &str| {
        let mut lines = said.lines().map(str::trim);
        Some(lines.find_map(|line| line.strip_prefix(name))?.trim())
    };
    Some(Load {
        per_second: after("Requests/sec:")?.parse().ok()?,
        p99_ms: milliseconds(after("99%")?)?,
    })
}

/// wrk's times: `950.00us`, `1.20ms`, `2.00s`, `1.00m`.
fn milliseconds(time: &str) -> Option<f64> {
    let number = time.trim_end_matches(char::is_alphabetic);
    let unit = time.strip_prefix(number)?;
    let number: f64 = number.parse().ok()?;
    match unit {
        "us" => Some(number / 1e3),
        "ms" => Some(number),
        "s" => Some(number * 1e3),
        "m" => Some(number * 60e3),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_says_is_read() {
        let said = "  Thread Stats   Avg      Stdev     Max   +/- Stdev\n  Latency Distribution\n     50%    1.05ms\n     99%    2.00s \n\
                    Requests/sec:  29413.24\nTransfer/sec:      3.60MB\n";
        let load = read(said).unwrap();
        assert_eq!(
            load,
            Load {
                per_second: 29413.24,
                p99_ms: 2000.0
            }
        );
        assert_eq!(milliseconds("950.00us"), Some(0.95));
        assert_eq!(milliseconds("1"), None);
        assert_eq!(read(""), None);
    }
}
