//! Runs a program to its end: arguments one by one, almost no environment, a deadline, bounded output, and its whole
//! process group killed when it is too slow or nobody waits any more.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
    time::timeout,
};

/// Longest a measurement may take, whatever its parameters ask for.
pub const LONGEST: Duration = Duration::from_secs(600);

/// Bytes of stdout kept; more ends the run. A result must fit a frame of the same size.
pub const MAX_OUTPUT: u64 = probe_protocol::MAX_FRAME as u64;

/// Bytes of stderr kept for the failure's text.
const STDERR_KEPT: usize = 2048;

/// How long a killed program may take to be gone before it is left to the system.
const REAP: Duration = Duration::from_secs(2);

/// Where programs are looked for when the agent itself has no PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program that ended by itself.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status, for people.
    pub status: String,
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to stdout.
    pub stdout: Vec<u8>,
    /// The beginning of what it wrote to stderr, white space trimmed.
    pub stderr: String,
}

/// A program that did not end by itself.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It cannot be started.
    #[error("cannot start {}: {cause}", program.display())]
    Start {
        /// Which.
        program: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// It ran for too long and was killed.
    #[error("{} was stopped after {} s", program.display(), after.as_secs())]
    TooSlow {
        /// Which.
        program: PathBuf,
        /// Its deadline.
        after: Duration,
    },
    /// It wrote too much and was killed.
    #[error("{} wrote more than {MAX_OUTPUT} bytes", program.display())]
    TooMuch {
        /// Which.
        program: PathBuf,
    },
    /// Its output cannot be read.
    #[error("cannot read the output of {}: {cause}", program.display())]
    Read {
        /// Which.
        program: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
}

/// Kills the group when dropped, unless the program ended before.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Already gone, or not ours to kill (a setuid program): nothing else to try.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// The PATH that programs are looked for on.
#[must_use]
pub fn search_path() -> std::ffi::OsString {
    std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into())
}

/// Runs a program in `work` and waits for its end.
///
/// # Errors
/// [`ProcessError`]; the program is dead then, or left to the system if it cannot be killed.
pub async fn run(
    program: &Path,
    args: &[String],
    work: &Path,
    deadline: Duration,
) -> Result<Ended, ProcessError> {
    let mut child = Command::new(program)
        .args(args)
        .current_dir(work)
        .env_clear()
        .env("PATH", search_path())
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|cause| ProcessError::Start {
            program: program.to_owned(),
            cause,
        })?;
    let pid = child.id().and_then(|id| i32::try_from(id).ok());
    let mut group = Group(pid.and_then(Pid::from_raw));
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let whole = async {
        let (stdout, stderr) = tokio::try_join!(read_all(stdout), read_start(stderr))?;
        if stdout.len() as u64 > MAX_OUTPUT {
            return Ok(None);
        }
        Ok(Some((stdout, stderr, child.wait().await?)))
    };
    let error = match timeout(deadline, whole).await {
        Ok(Ok(Some((stdout, stderr, status)))) => {
            group.0 = None;
            return Ok(Ended {
                status: status.to_string(),
                code: status.code(),
                stdout,
                stderr: String::from_utf8_lossy(&stderr).trim().to_owned(),
            });
        }
        Ok(Ok(None)) => ProcessError::TooMuch {
            program: program.to_owned(),
        },
        Ok(Err(cause)) => ProcessError::Read {
            program: program.to_owned(),
            cause,
        },
        Err(_) => ProcessError::TooSlow {
            program: program.to_owned(),
            after: deadline,
        },
    };
    drop(group);
    let _ = timeout(REAP, child.wait()).await;
    Err(error)
}

async fn read_all(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(MAX_OUTPUT + 1).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

/// Reads to the end, so that the program never waits for us, and keeps the beginning.
async fn read_start(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    let Some(mut pipe) = pipe else {
        return Ok(kept);
    };
    let mut chunk = [0; STDERR_KEPT];
    loop {
        let length = pipe.read(&mut chunk).await?;
        if length == 0 {
            return Ok(kept);
        }
        let room = STDERR_KEPT - kept.len();
        kept.extend_from_slice(&chunk[..length.min(room)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn args(args: &[&str]) -> Vec<String> {
        args.iter().map(|&arg| arg.to_owned()).collect()
    }

    async fn sh(script: &str, deadline: Duration) -> Result<Ended, ProcessError> {
        let args = args(&["-c", script]);
        run(Path::new("sh"), &args, Path::new("/"), deadline).await
    }

    #[tokio::test]
    async fn a_program_gets_its_arguments_and_almost_no_environment() {
        let listed = args(&[]);
        let ended = run(Path::new("env"), &listed, Path::new("/"), SOON)
            .await
            .unwrap();
        let mut names: Vec<_> = std::str::from_utf8(&ended.stdout)
            .unwrap()
            .lines()
            .filter_map(|line| line.split_once('=').map(|(name, _)| name))
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["LC_ALL", "PATH", "TZ"]);
        let echoed = args(&["$(id)", "a b", ";", "`id`"]);
        let ended = run(Path::new("echo"), &echoed, Path::new("/"), SOON)
            .await
            .unwrap();
        assert_eq!(ended.stdout, b"$(id) a b ; `id`\n");
    }

    #[tokio::test]
    async fn a_slow_program_and_its_children_are_killed() {
        let began = std::time::Instant::now();
        let deadline = Duration::from_millis(300);
        let error = sh("sleep 60 & sleep 60", deadline).await.unwrap_err();
        assert!(matches!(error, ProcessError::TooSlow { .. }));
        assert!(began.elapsed() < Duration::from_secs(20));
    }

    #[tokio::test]
    async fn too_much_output_ends_the_run() {
        let error = sh("yes", SOON).await.unwrap_err();
        assert!(matches!(error, ProcessError::TooMuch { .. }));
    }

    #[tokio::test]
    async fn stderr_is_cut_and_never_blocks() {
        let ended = sh("head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 3", SOON)
            .await
            .unwrap();
        assert_eq!(ended.stderr.len(), STDERR_KEPT);
        assert_eq!(ended.code, Some(3));
    }

    #[tokio::test]
    async fn a_missing_program_is_an_error_that_names_it() {
        let program = Path::new("/no/such/program");
        let error = run(program, &[], Path::new("/"), SOON).await.unwrap_err();
        assert!(error.to_string().contains("/no/such/program"), "{error}");
    }
}
