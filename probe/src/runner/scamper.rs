//! Ping and traceroute by scamper(1): `scamper -O warts -o FILE -c "ping …" -i ADDRESS…`, then the file is read.
//!
//! The text after `-c` is scamper's own little language; it is made here from numbers and fixed words only.

use std::{
    fmt::{Display, Write},
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use probe_protocol::{
    ContentFormat, Measurement,
    spec::{PingMethod, PingParams, TracerouteMethod, TracerouteParams},
};
use uuid::Uuid;

use super::{
    Failure, Output,
    process::{self, Ended, LONGEST, MAX_OUTPUT},
    warts::{Glance, glance},
};

/// Probes scamper sends a second, over all targets.
const PROBES_PER_SECOND: u64 = 20;

/// Time for scamper to start and to write its file, beyond what its parameters ask for.
const MARGIN: Duration = Duration::from_secs(15);

/// scamper's defaults, to know how long a run takes.
const PING_PROBES: u32 = 4;
const PING_WAIT_S: u32 = 1;
const TRACE_ATTEMPTS: u32 = 2;
const TRACE_WAIT_S: u32 = 5;
const TRACE_MAX_TTL: u32 = 255;

/// Longest `trace -w` that scamper takes, seconds.
const TRACE_LONGEST_WAIT_S: u32 = 10;

/// The two confidences that scamper knows, percent.
const CONFIDENCES: [u32; 2] = [95, 99];

/// Why scamper cannot run this, if so: what would be refused on every run is better refused once.
///
/// # Errors
/// [`Failure::Unfit`] naming the parameter.
pub fn suits(measurement: &Measurement, targets: usize) -> Result<(), Failure> {
    let unfit = |text: String| Err(Failure::Unfit(text));
    match measurement {
        Measurement::Ping(params) if params.timeout.is_some_and(|t| t.get() == 0) => {
            unfit("timeout: this probe's ping waits at least 1 second".to_owned())
        }
        Measurement::Traceroute(params)
            if params.wait.is_some_and(|w| w.get() > TRACE_LONGEST_WAIT_S) =>
        {
            unfit(format!(
                "wait: this probe's traceroute waits at most {TRACE_LONGEST_WAIT_S} seconds"
            ))
        }
        Measurement::Traceroute(TracerouteParams {
            firsthop: Some(first),
            maxttl: Some(max),
            ..
        }) if first > max => unfit("firsthop: must not be greater than maxttl".to_owned()),
        Measurement::Ping(params) if ping_time(params, targets) > LONGEST => unfit(format!(
            "probecount, wait, timeout: the run would take longer than {} seconds",
            LONGEST.as_secs()
        )),
        _ => Ok(()),
    }
}

/// Runs scamper on these addresses.
///
/// # Errors
/// [`Failure`] when there is no measurement in its file.
pub async fn run(
    scamper: &Path,
    measurement: &Measurement,
    addresses: &[IpAddr],
    work: &Path,
) -> Result<Output, Failure> {
    let (command, deadline) = match measurement {
        Measurement::Ping(params) => (ping(params), ping_time(params, addresses.len())),
        Measurement::Traceroute(params) => (trace(params), trace_time(params)),
        Measurement::Dns(_) => return Err(Failure::Unfit("scamper does no dns".to_owned())),
    };
    measure(scamper, &command, addresses, work, deadline.min(LONGEST)).await
}

/// Runs one command of scamper's language.
///
/// # Errors
/// [`Failure`] when there is no measurement in its file.
pub async fn measure(
    scamper: &Path,
    command: &str,
    addresses: &[IpAddr],
    work: &Path,
    deadline: Duration,
) -> Result<Output, Failure> {
    let file = OutputFile(work.join(format!("{}.warts", Uuid::now_v7().simple())));
    let args = args(&file.0, command, addresses);
    let ended = process::run(scamper, &args, work, deadline).await?;
    let content = file.read().await?;
    let fine = ended.code == Some(0) && glance(&content).contains(&Glance::Measured);
    if fine {
        Ok(Output::new(ContentFormat::Warts, content))
    } else {
        Err(failure(ended, command))
    }
}

fn failure(ended: Ended, command: &str) -> Failure {
    // scamper says nothing at all about parameters that it does not take together.
    let said = match (ended.code, ended.stderr.is_empty()) {
        (Some(255), true) => "scamper does not take these parameters together".to_owned(),
        _ => ended.stderr,
    };
    Failure::Exit {
        program: "scamper",
        status: ended.status,
        command: command.to_owned(),
        said,
    }
}

fn args(file: &Path, command: &str, addresses: &[IpAddr]) -> Vec<String> {
    let file = file.to_string_lossy();
    let fixed = ["-O", "warts", "-o", &file, "-c", command, "-i"];
    let addresses = addresses.iter().map(IpAddr::to_string);
    fixed
        .into_iter()
        .map(str::to_owned)
        .chain(addresses)
        .collect()
}

fn ping(params: &PingParams) -> String {
    let mut command = Words::new("ping");
    command.option("-c", params.probecount);
    command.option("-C", params.icmp_sum);
    command.option("-d", params.dport);
    command.option("-F", params.sport);
    command.option("-i", params.wait);
    command.option("-P", params.method.map(ping_method));
    command.option("-s", params.size);
    command.option("-W", params.timeout);
    command.0
}

fn trace(params: &TracerouteParams) -> String {
    let mut command = Words::new("trace");
    let confidence = params.confidence.map(|confidence| confidence.percent());
    command.option("-c", confidence.and_then(scamper_confidence));
    command.option("-P", params.method.map(trace_method));
    command.option("-d", params.dport);
    command.option("-f", params.firsthop);
    command.option("-m", params.maxttl);
    command.option("-q", params.attempts);
    command.option("-s", params.sport);
    command.option("-w", params.wait);
    command.option("-W", params.wait_probe);
    command.0
}

/// The lowest confidence of scamper's that is at least as sure; none is asked for with 0.
fn scamper_confidence(percent: u32) -> Option<u32> {
    let at_least = |&level: &u32| level >= percent;
    (percent > 0)
        .then(|| CONFIDENCES.into_iter().find(at_least))
        .flatten()
}

const fn ping_method(method: PingMethod) -> &'static str {
    match method {
        PingMethod::IcmpEcho => "icmp-echo",
        PingMethod::IcmpTime => "icmp-time",
        PingMethod::TcpSyn => "tcp-syn",
        PingMethod::TcpAck => "tcp-ack",
        PingMethod::TcpAckSport => "tcp-ack-sport",
        PingMethod::Udp => "udp",
        PingMethod::UdpDport => "udp-dport",
    }
}

const fn trace_method(method: TracerouteMethod) -> &'static str {
    match method {
        TracerouteMethod::UdpParis => "udp-paris",
        TracerouteMethod::IcmpParis => "icmp-paris",
        TracerouteMethod::Tcp => "tcp",
    }
}

/// A command of scamper's language in the making.
struct Words(String);

impl Words {
    fn new(verb: &str) -> Self {
        Self(verb.to_owned())
    }

    fn option(&mut self, flag: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            // Writing to a String does not fail.
            let _ = write!(self.0, " {flag} {value}");
        }
    }
}

/// How long a ping takes at most: scamper waits the whole timeout after the last probe, answered or not.
fn ping_time(params: &PingParams, targets: usize) -> Duration {
    let probes = params.probecount.map_or(PING_PROBES, |count| count.get());
    let wait = params.wait.map_or(PING_WAIT_S, |wait| wait.get());
    let timeout = params.timeout.map_or(wait, |timeout| timeout.get());
    let sending = u64::from(probes - 1) * u64::from(wait) + u64::from(timeout);
    let pacing = u64::from(probes) * targets as u64 / PROBES_PER_SECOND;
    Duration::from_secs(sending + pacing) + MARGIN
}

/// How long a traceroute takes at most, if no hop answers and no gap limit ends it.
fn trace_time(params: &TracerouteParams) -> Duration {
    let attempts = params.attempts.map_or(TRACE_ATTEMPTS, |count| count.get());
    let wait = params.wait.map_or(TRACE_WAIT_S, |wait| wait.get());
    let hops = params.maxttl.map_or(TRACE_MAX_TTL, |ttl| ttl.get());
    Duration::from_secs(u64::from(attempts) * u64::from(wait) * u64::from(hops)) + MARGIN
}

/// scamper's output file; deleted when dropped.
struct OutputFile(PathBuf);

impl OutputFile {
    async fn read(&self) -> Result<Vec<u8>, Failure> {
        match tokio::fs::metadata(&self.0).await {
            Ok(meta) if meta.len() > MAX_OUTPUT => Err(Failure::TooLarge(meta.len())),
            Ok(_) => tokio::fs::read(&self.0)
                .await
                .map_err(|cause| Failure::System {
                    what: "cannot read scamper's file",
                    cause,
                }),
            // scamper that never came so far says why on stderr.
            Err(_) => Ok(Vec::new()),
        }
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0); // often never made
    }
}

#[cfg(test)]
mod tests;
