//! An old database, as documents, and the program that imports it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use bson::{Bson, Document, doc, oid::ObjectId};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use tempfile::TempDir;
use tests::{old_api::sign, process::program, wait::within};
use tokio::process::Command;

/// The key of the old system.
pub(super) const KEY: &str = "a key that the replaced system had";
/// [`tests::hub::PASSWORD`] as passlib's `pbkdf2_sha256` keeps it.
pub(super) const PASSLIB: &str =
    "$pbkdf2-sha256$29000$MDEyMzQ1Njc4OWFiY2RlZg$GS0nAEw1XQ6BDMa6wW8dqbqULAPkoVrliqHrMNFR5e4";
/// Longest that the program may take on a machine that is busy.
const DONE_WITHIN: Duration = Duration::from_secs(60);

/// An identifier that was made so many seconds ago.
pub(super) fn id(seconds_ago: i64, number: u8) -> ObjectId {
    let at = Utc::now().timestamp() - seconds_ago;
    let seconds = u32::try_from(at).expect("a time");
    ObjectId::from_parts(seconds, [7; 5], [0, 0, number])
}

/// A time as the old system writes it.
pub(super) fn minute(time: DateTime<Utc>) -> String {
    time.format("%d/%m/%Y %H:%M").to_string()
}

/// The three collections.
#[derive(Debug, Default, Clone)]
pub(super) struct OldDatabase {
    pub(super) users: Vec<Document>,
    pub(super) probes: Vec<Document>,
    pub(super) operations: Vec<Document>,
}

/// Seconds of a day.
const DAY: i64 = 86_400;

/// The ids of [`OldDatabase::usual`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Ids {
    pub(super) ana: ObjectId,
    pub(super) ben: ObjectId,
    pub(super) double: ObjectId,
    pub(super) nameless: ObjectId,
    /// A probe of Ana's.
    pub(super) attic: ObjectId,
    /// A probe of Ben's that stands nowhere.
    pub(super) nowhere: ObjectId,
    /// A probe of nobody.
    pub(super) orphan: ObjectId,
    /// Over, with results of both probes.
    pub(super) over: ObjectId,
    /// Agents are at it.
    pub(super) running: ObjectId,
    /// Agents are at it, and nobody should.
    pub(super) evil: ObjectId,
    /// Dns, over.
    pub(super) asked: ObjectId,
    /// Of nobody.
    pub(super) lost: ObjectId,
}

impl OldDatabase {
    /// A bit of everything that the old system left.
    pub(super) fn usual() -> (Self, Ids) {
        let ids = Ids {
            ana: id(9 * DAY, 1),
            ben: id(8 * DAY, 2),
            double: id(7 * DAY, 3),
            nameless: id(6 * DAY, 4),
            attic: id(5 * DAY, 5),
            nowhere: id(5 * DAY, 6),
            orphan: id(5 * DAY, 7),
            over: id(2 * DAY, 8),
            running: id(3600, 9),
            evil: id(3000, 10),
            asked: id(2 * DAY, 11),
            lost: id(DAY, 12),
        };
        let old = Self {
            users: users(ids),
            probes: probes(ids),
            operations: operations(ids),
        };
        (old, ids)
    }

    /// The operations that can be taken.
    pub(super) fn imported(ids: Ids) -> Vec<String> {
        [ids.over, ids.running, ids.evil, ids.asked]
            .map(ObjectId::to_hex)
            .to_vec()
    }

    /// The files that mongodump makes of it.
    pub(super) fn dump(&self) -> Dump {
        let folder = tempfile::Builder::new()
            .prefix("pladmed-dump-")
            .tempdir()
            .expect("a folder");
        let dump = Dump { folder };
        dump.write("users", &self.users);
        dump.write("probes", &self.probes);
        dump.write("operations", &self.operations);
        dump
    }
}

fn users(ids: Ids) -> Vec<Document> {
    let user = |id: ObjectId, email: &str, credits: Bson, is_superuser: bool| {
        doc! { "_id": id, "email": email, "password": PASSLIB, "credits": credits, "is_superuser": is_superuser }
    };
    vec![
        user(ids.ana, " ana@example.org", Bson::Double(99.25), false),
        user(ids.ben, "ben@example.org", Bson::Int32(50), true),
        user(ids.double, "ana@example.org", Bson::Int32(3), false),
        doc! { "_id": ids.nameless, "password": 5 },
    ]
}

fn probes(ids: Ids) -> Vec<Document> {
    let probe = |id: ObjectId, owner: ObjectId, longitude: Bson| {
        let location = doc! { "type": "Point", "coordinates": [longitude, -34.6] };
        doc! { "_id": id, "owner": owner, "location": location }
    };
    vec![
        probe(ids.attic, ids.ana, Bson::Double(-58.37)),
        probe(ids.nowhere, ids.ben, Bson::Double(f64::NAN)),
        probe(ids.orphan, ObjectId::from_bytes([9; 12]), Bson::Int32(1)),
    ]
}

/// What `sc_warts2json` makes of a ping.
pub(super) fn ping(at: i64) -> Vec<Document> {
    vec![
        doc! { "type": "cycle-start", "list_name": "default", "id": 0, "start_time": at },
        doc! {
            "type": "ping", "version": "0.4", "src": "192.0.2.9", "dst": "192.0.2.1", "ping_sent": 1,
            "start": { "sec": at, "usec": 1000 }, "responses": [{ "from": "192.0.2.1", "seq": 0, "rtt": 1.25 }],
        },
        doc! { "type": "cycle-stop", "id": 0, "stop_time": at + 1 },
    ]
}

/// What dig prints.
pub(super) const DIG: &str = "; <<>> DiG 9.11.5 <<>> -q example.org\n;; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 1\n\
    ;; QUESTION SECTION:\n;example.org.\t\tIN\tA\n\n;; ANSWER SECTION:\nexample.org.\t5\tIN\tA\t192.0.2.1\n\n\
    ;; Query time: 3 msec\n";

fn operations(ids: Ids) -> Vec<Document> {
    let now = Utc::now();
    let seconds = |id: ObjectId| id.timestamp().timestamp_millis() / 1000;
    let stop = |id: ObjectId| {
        let stop =
            DateTime::from_timestamp(seconds(id), 0).expect("a time") + TimeDelta::minutes(10);
        minute(stop)
    };
    let result = |probe: ObjectId, code: &str, results: Bson| {
        doc! { "probe": probe, "unique_code": code, "results": results }
    };
    let of_ping = |id, code: &str, probe| result(probe, code, ping(seconds(id) + 60).into());
    vec![
        doc! {
            "_id": ids.over, "operation": "ping", "owner": ids.ana, "credits": 20, "result_format": "json",
            "probes": [ids.attic, ids.nowhere],
            "params": { "ips": ["192.0.2.1"], "cron": "* * * * *", "times_per_minute": 1, "stop_time": stop(ids.over), "x": 1 },
            "results": [
                of_ping(ids.over, "a", ids.attic), of_ping(ids.over, "b", ids.nowhere), of_ping(ids.over, "a", ids.attic),
                of_ping(ids.over, "c", ids.orphan),
            ],
        },
        doc! {
            "_id": ids.running, "operation": "traceroute", "owner": ids.ana, "credits": 360.0, "result_format": "dump",
            "probes": [ids.attic],
            "params": {
                "fqdns": ["example.org"], "cron": "*/5 * * * *", "times_per_minute": 1, "method": "icp",
                "stop_time": minute(now + TimeDelta::hours(1)),
            },
        },
        doc! {
            "_id": ids.evil, "operation": "ping", "owner": ids.ben, "credits": 600, "result_format": "json",
            "probes": [ids.attic, ids.orphan],
            "params": {
                "ips": ["192.0.2.1"], "dport": "1'; touch /tmp/x; echo '", "cron": "* * * * *", "times_per_minute": 5,
                "stop_time": minute(now + TimeDelta::hours(1)),
            },
            "results": [of_ping(ids.evil, "a", ids.attic)],
        },
        doc! {
            "_id": ids.asked, "operation": "dns", "owner": ids.ben, "credits": 10, "result_format": "text",
            "probes": [ids.nowhere],
            "params": { "fqdns": ["example.org"], "type": "a", "cron": "* * * * *", "times_per_minute": 1, "stop_time": stop(ids.asked) },
            "results": [result(ids.nowhere, "a", DIG.into())],
        },
        doc! {
            "_id": ids.lost, "operation": "ping", "owner": ObjectId::from_bytes([9; 12]), "credits": 1, "probes": [ids.attic],
            "params": {}, "result_format": "json", "results": [of_ping(ids.lost, "a", ids.attic)],
        },
    ]
}

/// The token that the old system gave a probe.
pub(super) fn token(probe: ObjectId, owner: ObjectId) -> String {
    let location = json!({ "longitude": 1, "latitude": 2 });
    let said =
        json!({ "identifier": probe.to_hex(), "owner_id": owner.to_hex(), "location": location });
    sign(KEY, &said)
}

/// A folder as mongodump writes it.
#[derive(Debug)]
pub(super) struct Dump {
    folder: TempDir,
}

impl Dump {
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn name(&self) -> &str {
        self.path().to_str().expect("a path")
    }

    pub(super) fn file(&self, collection: &str) -> PathBuf {
        self.path().join(format!("{collection}.bson"))
    }

    pub(super) fn write(&self, collection: &str, documents: &[Document]) {
        let bytes = documents
            .iter()
            .flat_map(|document| bson::serialize_to_vec(document).expect("a document"));
        fs::write(self.file(collection), bytes.collect::<Vec<u8>>()).expect("a file");
    }
}

/// What `pladmed import` did.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) code: i32,
    pub(super) out: String,
    pub(super) notes: String,
}

impl Done {
    /// The rows of the table: found, taken, were there, not taken.
    pub(super) fn row(&self, part: &str) -> [u64; 4] {
        let line = self.out.lines().find(|line| line.starts_with(part));
        let line = line.unwrap_or_else(|| panic!("no {part}: {self:?}"));
        let numbers = line.split_whitespace().skip(1).map(|it| it.parse());
        let numbers: Vec<u64> = numbers.collect::<Result<_, _>>().expect("numbers");
        let numbers: [u64; 4] = numbers.try_into().expect("four of them");
        assert_eq!(numbers[0], numbers[1..].iter().sum::<u64>(), "{line}");
        numbers
    }

    pub(super) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    /// Holds the notes to naming each of these.
    pub(super) fn expect_notes(&self, words: &[&str]) {
        for word in words {
            assert!(self.notes.contains(word), "{word}: {self:?}");
        }
    }
}

/// The program, on the data folder of a hub.
pub(super) fn command(data_dir: &Path, source: &str) -> Command {
    let mut command = bare(data_dir);
    command.arg(source);
    command
}

/// The same without a source.
pub(super) fn bare(data_dir: &Path) -> Command {
    let mut command = Command::new(program("pladmed"));
    command
        .env_clear()
        .env("DATA_DIR", data_dir)
        .env("ENVIRONMENT", "test")
        .env("SECRET_KEY", KEY)
        .arg("import")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Imports.
pub(super) async fn import(data_dir: &Path, source: &str) -> Done {
    run(command(data_dir, source)).await
}

/// Rehearses.
pub(super) async fn rehearse(data_dir: &Path, source: &str) -> Done {
    let mut command = command(data_dir, source);
    command.arg("--dry-run");
    run(command).await
}

pub(super) async fn run(mut command: Command) -> Done {
    let output = within(DONE_WITHIN, "an import", command.output());
    let output = output.await.expect("its output");
    Done {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        notes: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
