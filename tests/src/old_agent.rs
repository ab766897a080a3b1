//! An agent of the system that this one replaces, on the client library that it really uses: a Python program that does
//! what it is told and tells what it sees.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::{
    hub::Hub,
    old_probe::OldResult,
    wait::{SOON, within},
};

/// Longest Python may take to start and read the library, on a machine that is busy.
const BEGINS_WITHIN: Duration = Duration::from_secs(30);
/// The version of the library that the agents have.
const LIBRARY: &str = "5.0.4";

/// A running agent. Killed when dropped.
#[derive(Debug)]
pub struct OldAgent {
    // Only kept: it is killed when dropped.
    _child: Child,
    orders: ChildStdin,
    told: Lines<BufReader<ChildStdout>>,
    /// All that it told, in order.
    pub journal: Vec<Value>,
    complaints: PathBuf,
    _folder: TempDir,
}

fn python() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/old-agent/bin/python")
}

impl OldAgent {
    /// What is missing to run one, if anything is.
    #[must_use]
    pub fn missing() -> Option<String> {
        let is_there = python().is_file();
        (!is_there).then(|| "python-socketio is not installed: `make install-tools`".to_owned())
    }

    /// An agent that is not connected. `comes_back` tells whether it connects again by itself.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(comes_back: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let complaints = folder.path().join("complaints");
        let mut child = Command::new(python())
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("python/old_agent.py"))
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&complaints).expect("a file"))
            .kill_on_drop(true)
            .spawn()
            .expect("Python starts");
        let mut agent = Self {
            orders: child.stdin.take().expect("its input"),
            told: BufReader::new(child.stdout.take().expect("its output")).lines(),
            _child: child,
            journal: Vec::new(),
            complaints,
            _folder: folder,
        };
        agent
            .order(json!({"do": "begin", "comes_back": comes_back}))
            .await;
        let begun = agent.told_within(BEGINS_WITHIN, "begun").await;
        assert_eq!(begun["library"], LIBRARY);
        agent
    }

    /// Gives an order.
    ///
    /// # Panics
    /// When it is gone.
    pub async fn order(&mut self, order: Value) {
        let line = format!("{order}\n");
        let writing = self.orders.write_all(line.as_bytes());
        within(SOON, "an agent that takes orders", writing)
            .await
            .expect("the agent runs");
    }

    /// Connects to a hub with so many credits of which so many are in use.
    pub async fn connect(&mut self, hub: &Hub, token: &str, total: i64, in_use: i64) {
        let url = format!("{}?token={token}", hub.url());
        self.order(json!({"do": "connect", "url": url, "total": total, "in_use": in_use}))
            .await;
    }

    /// What it makes of operations from now on: `take`, `refuse`, `fail` or `hang`.
    pub async fn mood(&mut self, mood: &str) {
        self.order(json!({"do": "mood", "mood": mood})).await;
    }

    /// Sends results, all at once.
    pub async fn send(&mut self, results: &[OldResult]) {
        let results: Vec<Value> = results
            .iter()
            .map(|it| {
                json!({"operation": it.operation, "code": it.code, "format": it.format,
                    "content": BASE64.encode(&it.content)})
            })
            .collect();
        self.order(json!({"do": "send", "results": results})).await;
    }

    /// Sends a result; what the hub acknowledges it with.
    pub async fn deliver(&mut self, result: &OldResult) -> Value {
        self.send(std::slice::from_ref(result)).await;
        self.acknowledged(&result.code).await
    }

    /// What the hub acknowledges the result of this code with.
    pub async fn acknowledged(&mut self, code: &str) -> Value {
        let fits = |told: &Value| {
            (told["told"] == "acknowledged" && told["code"] == code)
                .then(|| told["arguments"].clone())
        };
        if let Some(arguments) = self.journal.iter().find_map(fits) {
            return arguments;
        }
        self.until(SOON, &format!("acknowledgement of {code}"), fits)
            .await
    }

    /// Waits until it tells this; what it tells with it.
    pub async fn told(&mut self, what: &str) -> Value {
        self.told_within(SOON, what).await
    }

    /// The same with another deadline.
    pub async fn told_within(&mut self, limit: Duration, what: &str) -> Value {
        self.until(limit, what, |told| {
            (told["told"] == what).then(|| told.clone())
        })
        .await
    }

    /// Reads what it tells until something fits; all of it goes into the journal.
    ///
    /// # Panics
    /// When it ends before, or nothing fits in time.
    pub async fn until<T>(
        &mut self,
        limit: Duration,
        what: &str,
        mut fits: impl FnMut(&Value) -> Option<T>,
    ) -> T {
        let reading = async {
            loop {
                let Ok(Some(line)) = self.told.next_line().await else {
                    panic!("the agent ended before {what}; it told {:?}", self.journal);
                };
                let told: Value = serde_json::from_str(&line).expect("JSON from the agent");
                let found = fits(&told);
                self.journal.push(told);
                if let Some(found) = found {
                    return found;
                }
            }
        };
        within(limit, what, reading).await
    }
}

impl Drop for OldAgent {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let complaints = std::fs::read_to_string(&self.complaints).unwrap_or_default();
            eprintln!("--- what the agent complained of\n{complaints}\n---");
        }
    }
}
