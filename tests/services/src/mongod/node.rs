//! One `mongod` process. It knows nothing of replica sets and users.

use std::{fs, path::Path};

use super::program;
use crate::process::{HOST, Kind, Process};

static MONGOD: Kind = Kind {
    name: "mongod",
    program: program::path,
    port_options: &["--port"],
    // Above those of the hubs that tests start.
    ports: 30_000..32_000,
    listens: "Waiting for connections",
};
/// Settings of every node: small, quick to notice what expired, and nothing outside its folder.
const USUAL: &[&str] = &[
    "--bind_ip",
    HOST,
    "--nounixsocket",
    "--wiredTigerCacheSizeGB",
    "0.25",
    "--setParameter",
    "ttlMonitorSleepSecs=1",
    "--setParameter",
    "diagnosticDataCollectionEnabled=false",
];

/// Starts one on a free port; returns when it listens. `args` come after the usual ones, those that name files are made
/// from its folder.
///
/// # Panics
/// When it does not come up.
pub(super) async fn start(args: impl FnOnce(&Path) -> Vec<String>) -> Process {
    Process::start(&MONGOD, |folder| {
        let data = folder.join("data");
        fs::create_dir(&data).expect("a folder");
        let data = data.to_str().expect("a path of plain text").to_owned();
        let mut all: Vec<String> = USUAL.iter().map(|arg| (*arg).to_owned()).collect();
        all.extend(["--dbpath".to_owned(), data]);
        all.extend(args(folder));
        all
    })
    .await
}
