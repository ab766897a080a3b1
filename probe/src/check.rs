//! What this machine can measure with: looked at once, when the agent starts or on `pladmed-probe check`.
//!
//! A tool counts as usable only after it was seen to work: an installed scamper without its rights is worth nothing.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use probe_protocol::Kind;

use crate::runner::{ping, process, scamper};

/// How long a tool may take to show that it works.
const PATIENCE: Duration = Duration::from_secs(15);

/// What was found: a tool, or why it cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    /// Path of a scamper that may probe.
    pub scamper: Result<PathBuf, String>,
    /// Path of a dig that runs.
    pub dig: Result<PathBuf, String>,
    /// An ICMP socket of our own.
    pub icmp: Result<(), String>,
}

impl Findings {
    /// The kinds that can be run.
    #[must_use]
    pub fn kinds(&self) -> Vec<Kind> {
        let can = |kind: &Kind| match kind {
            Kind::Ping => self.scamper.is_ok() || self.icmp.is_ok(),
            Kind::Traceroute => self.scamper.is_ok(),
            Kind::Dns => true, // the library asks where dig is missing
        };
        Kind::ALL.iter().copied().filter(can).collect()
    }
}

/// Tries the tools; names without `/` are looked for on PATH. Takes about a second.
pub async fn look(scamper: &Path, dig: &Path) -> Findings {
    let (scamper, dig) = tokio::join!(try_scamper(scamper), try_dig(dig));
    let icmp = ping::usable().map_err(|cause| {
        // The library's own text is a page of advice.
        let kind = cause.kind();
        format!("no ICMP socket ({kind}): give it CAP_NET_RAW or set net.ipv4.ping_group_range")
    });
    Findings { scamper, dig, icmp }
}

async fn try_scamper(program: &Path) -> Result<PathBuf, String> {
    let path = find(program)?;
    let work = tempfile::tempdir().map_err(|cause| format!("no temporary directory: {cause}"))?;
    let loopback = [std::net::Ipv4Addr::LOCALHOST.into()];
    // The cheapest measurement there is: one hop, and it is us.
    let command = "trace -m 1 -q 1 -w 1";
    match scamper::measure(&path, command, &loopback, work.path(), PATIENCE).await {
        Ok(_) => Ok(path),
        Err(failure) => Err(format!(
            "{failure} (scamper needs root, its setuid bit, or CAP_NET_RAW and where it locks itself in CAP_SYS_CHROOT, CAP_SETUID and CAP_SETGID)"
        )),
    }
}

async fn try_dig(program: &Path) -> Result<PathBuf, String> {
    let path = find(program)?;
    let version = ["-v".to_owned()];
    match process::run(&path, &version, Path::new("/"), PATIENCE).await {
        Ok(ended) if ended.code == Some(0) => Ok(path),
        Ok(ended) => Err(format!("{} -v failed ({})", path.display(), ended.status)),
        Err(error) => Err(error.to_string()),
    }
}

fn find(program: &Path) -> Result<PathBuf, String> {
    let is_path = program.components().count() > 1;
    let candidates: Vec<PathBuf> = if is_path {
        vec![std::path::absolute(program).unwrap_or_else(|_| program.to_owned())]
    } else {
        std::env::split_paths(&process::search_path())
            .map(|directory| directory.join(program))
            .collect()
    };
    let found = candidates.into_iter().find(|path| path.is_file());
    found.ok_or_else(|| format!("{} is not installed", program.display()))
}

/// The table that `pladmed-probe check` prints.
impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tool = |found: &Result<PathBuf, String>| match found {
            Ok(path) => ("yes", path.display().to_string()),
            Err(why) => ("no", why.clone()),
        };
        let (scamper, scamper_text) = tool(&self.scamper);
        let (dig, dig_text) = tool(&self.dig);
        let (icmp, icmp_text) = match &self.icmp {
            Ok(()) => ("yes", "own ICMP echo, for ping without scamper".to_owned()),
            Err(why) => ("no", why.clone()),
        };
        writeln!(f, "{:<12}{:<8}detail", "tool", "usable")?;
        writeln!(f, "{:<12}{scamper:<8}{scamper_text}", "scamper")?;
        writeln!(f, "{:<12}{dig:<8}{dig_text}", "dig")?;
        writeln!(f, "{:<12}{icmp:<8}{icmp_text}", "icmp")?;
        writeln!(f)?;
        writeln!(f, "{:<12}{:<8}by", "kind", "runs")?;
        for &kind in Kind::ALL {
            let (runs, by) = match (kind, &self.scamper, &self.dig) {
                (Kind::Dns, _, Ok(_)) => ("yes", "dig"),
                (Kind::Dns, _, Err(_)) => ("yes", "built-in resolver"),
                (_, Ok(_), _) => ("yes", "scamper"),
                (Kind::Ping, Err(_), _) if self.icmp.is_ok() => ("yes", "built-in ICMP echo"),
                _ => ("no", "-"),
            };
            writeln!(f, "{:<12}{runs:<8}{by}", kind.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn missing_tools_are_named() {
        let findings = look(Path::new("/no/scamper"), Path::new("no-such-dig")).await;
        assert_eq!(
            findings.scamper,
            Err("/no/scamper is not installed".to_owned())
        );
        assert_eq!(findings.dig, Err("no-such-dig is not installed".to_owned()));
        assert!(!findings.kinds().contains(&Kind::Traceroute));
        let table = findings.to_string();
        assert!(table.contains("traceroute  no"), "{table}");
        assert!(
            table.contains("dns         yes     built-in resolver"),
            "{table}"
        );
    }

    #[tokio::test]
    async fn a_program_that_is_no_scamper_is_not_usable() {
        let findings = look(Path::new("true"), Path::new("false")).await;
        assert!(findings.scamper.is_err());
        assert!(findings.dig.is_err());
    }
}
