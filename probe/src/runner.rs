//! Measuring: the port [`Runner`] and its adapter over the tools of this machine.
//!
//! A run never fails outwards: whatever goes wrong becomes a document of type `failed`, so that the user sees why there
//! is no measurement. No shell is involved anywhere; programs get their arguments one by one, made from typed values.

use std::path::PathBuf;

use async_trait::async_trait;
use probe_protocol::{ContentFormat, Kind, Measurement, Target, TargetPolicy};
use serde_json::json;

use crate::check::Findings;

pub mod dig;
pub mod lookup;
pub mod ping;
pub mod process;
pub mod resolve;
pub mod scamper;
pub mod warts;

use process::ProcessError;

/// Most targets one assignment may have: their addresses must fit a command line.
pub const MAX_TARGETS: usize = 1000;

/// One measurement to make.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// What, with its parameters.
    pub measurement: Measurement,
    /// At what.
    pub targets: Vec<Target>,
    /// Which addresses may be measured.
    pub policy: TargetPolicy,
}

/// What a run gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// What `content` holds.
    pub format: ContentFormat,
    /// The bytes.
    pub content: Vec<u8>,
}

/// Why a run gave no measurement.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The tools of this machine cannot do it.
    #[error("{0}")]
    Unfit(String),
    /// No target is left to measure; one reason per target.
    #[error("no target can be measured: {}", .0.join("; "))]
    NoTarget(Vec<String>),
    /// The name server may not be asked.
    #[error("the name server {0} may not be asked: the hub allows public addresses only")]
    Server(std::net::IpAddr),
    /// The program could not be run to its end.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The program ended, but not well.
    #[error("{program} failed ({status}) on `{command}`{}", colon(said))]
    Exit {
        /// Which program.
        program: &'static str,
        /// How it ended.
        status: String,
        /// What it was asked.
        command: String,
        /// What it said on stderr, cut.
        said: String,
    },
    /// The program's output is longer than a result may be.
    #[error("the output of {0} bytes is longer than a result may be")]
    TooLarge(u64),
    /// Something of the system.
    #[error("{what}: {cause}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        cause: std::io::Error,
    },
}

fn colon(said: &str) -> String {
    if said.is_empty() {
        String::new()
    } else {
        format!(": {said}")
    }
}

impl Output {
    /// A document in this format.
    #[must_use]
    pub fn new(format: ContentFormat, content: Vec<u8>) -> Self {
        Self { format, content }
    }

    /// A JSON document.
    #[must_use]
    pub fn json(document: &serde_json::Value) -> Self {
        Self::new(ContentFormat::Json, document.to_string().into_bytes())
    }

    /// The document of a run that gave no measurement; its `kind` is null where nobody knows it any more.
    #[must_use]
    pub fn failed(kind: Option<Kind>, error: &dyn std::fmt::Display, targets: &[Target]) -> Self {
        let error = error.to_string();
        Self::json(&json!({"type": "failed", "kind": kind, "error": error, "targets": targets}))
    }
}

/// What makes measurements. The agent knows only this; unit tests put a scripted one in its place.
#[async_trait]
pub trait Runner: Send + Sync + 'static {
    /// The kinds it can run.
    fn kinds(&self) -> Vec<Kind>;

    /// Why it cannot run this, if so; asked once, when the assignment arrives.
    ///
    /// # Errors
    /// The reason, for people.
    fn suits(&self, measurement: &Measurement, targets: usize) -> Result<(), Failure>;

    /// Runs it; always within a deadline. Dropping the future kills what it started.
    async fn run(&self, job: &Job) -> Output;
}

/// The tools of this machine.
#[derive(Debug)]
pub struct Tools {
    findings: Findings,
    work: PathBuf,
}

impl Tools {
    /// The tools that were found; `work` is where their output files go.
    #[must_use]
    pub fn new(findings: Findings, work: PathBuf) -> Self {
        Self { findings, work }
    }

    async fn try_run(&self, job: &Job) -> Result<Output, Failure> {
        self.suits(&job.measurement, job.targets.len())?;
        match (&job.measurement, &self.findings) {
            (Measurement::Dns(params), findings) => {
                resolve::may_ask(params, job.policy)?;
                let targets = &job.targets;
                match &findings.dig {
                    Ok(dig) => dig::run(dig, params, targets, &self.work).await,
                    Err(_) => lookup::run(params, targets).await,
                }
            }
            (measurement, Findings { scamper, .. }) => {
                let addresses = resolve::addresses(&job.targets, job.policy).await?;
                match (scamper, measurement) {
                    (Ok(scamper), _) => {
                        scamper::run(scamper, measurement, &addresses, &self.work).await
                    }
                    (Err(_), Measurement::Ping(params)) => ping::run(params, &addresses).await,
                    (Err(why), _) => Err(Failure::Unfit(why.clone())),
                }
            }
        }
    }
}

#[async_trait]
impl Runner for Tools {
    fn kinds(&self) -> Vec<Kind> {
        self.findings.kinds()
    }

    fn suits(&self, measurement: &Measurement, targets: usize) -> Result<(), Failure> {
        let kind = measurement.kind();
        if !self.findings.kinds().contains(&kind) {
            return Err(Failure::Unfit(format!("this probe cannot run {kind}")));
        }
        match (measurement, &self.findings) {
            (Measurement::Dns(_), Findings { dig: Ok(_), .. }) => Ok(()),
            (Measurement::Dns(params), _) => lookup::suits(params),
            (_, Findings { scamper: Ok(_), .. }) => scamper::suits(measurement, targets),
            (Measurement::Ping(params), _) => {
                ping::suits(params).and_then(|()| scamper::suits(measurement, targets))
            }
            (Measurement::Traceroute(_), _) => Ok(()),
        }
    }

    async fn run(&self, job: &Job) -> Output {
        match self.try_run(job).await {
            Ok(output) => output,
            Err(failure) => {
                let kind = job.measurement.kind();
                tracing::info!(%kind, error = %failure, "a {kind} gave no measurement: {failure}");
                Output::failed(Some(kind), &failure, &job.targets)
            }
        }
    }
}

#[cfg(test)]
mod tests;
