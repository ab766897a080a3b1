//! Holds servers to ending with the test process that started them, however that ends.

use std::{
    env,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use crate::{process::Process, wait::until};

/// Set for the copy of this program that is killed.
const VICTIM: &str = "SERVICES_TEST_VICTIM";
/// Enough for a process to be gone and its folder removed, on a machine that is busy.
const SOON: Duration = Duration::from_secs(10);

/// Whether this process is the copy that will be killed.
pub(crate) fn is_victim() -> bool {
    env::var_os(VICTIM).is_some()
}

/// Says where the processes and folders of servers are, and waits for the end.
pub(crate) async fn die_with(servers: &[&Process]) -> ! {
    for server in servers {
        println!("/proc/{}", server.pid().expect("a process"));
        println!("{}", server.folder().display());
    }
    println!("/");
    std::future::pending().await
}

/// Runs `test` once more in a copy of this program, where it must end in [`die_with`] so many servers; kills the copy and
/// waits for the end of what it started.
pub(crate) async fn assert_none_outlives(test: &str, servers: usize) {
    let mut process = Command::new(env::current_exe().expect("this program"))
        .args(["--ignored", "--exact", "--nocapture", test])
        .env(VICTIM, "1")
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program again");
    let lines = BufReader::new(process.stdout.take().expect("its output"));
    let found: Vec<PathBuf> = lines
        .lines()
        .map(|line| line.expect("a line"))
        // The test's name stands in front of the first.
        .filter_map(|line| Some(PathBuf::from(&line[line.find('/')?..])))
        .take_while(|path| path != Path::new("/"))
        .collect();
    assert_eq!(
        found.len(),
        servers * 2,
        "processes and folders of {servers}: {found:?}"
    );
    assert!(found.iter().all(|path| path.exists()), "{found:?}");

    process.kill().expect("kill -9");
    process.wait().expect("its end");
    for path in found {
        let what = format!("{} to be gone", path.display());
        until(SOON, &what, || async { (!path.exists()).then_some(()) }).await;
    }
}
