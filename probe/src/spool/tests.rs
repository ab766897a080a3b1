use chrono::DateTime;
use probe_protocol::{ContentFormat, Payload, RunResult};
use serde_bytes::ByteBuf;

use super::*;

const NO_LIMIT: u64 = 1 << 30;

fn key(code: &str) -> ResultKey {
    ResultKey {
        operation: "0123456789abcdef01234567".parse().unwrap(),
        code: code.to_owned().try_into().unwrap(),
    }
}

fn frame(key: &ResultKey, content: &[u8]) -> Vec<u8> {
    let result = RunResult {
        operation: key.operation,
        code: key.code.clone(),
        format: ContentFormat::Json,
        content: ByteBuf::from(content),
        started_at: DateTime::UNIX_EPOCH,
        finished_at: DateTime::UNIX_EPOCH,
    };
    match ProbeFrame::Result(result).encode().unwrap() {
        Payload::Binary(bytes) => bytes,
        Payload::Text(_) => unreachable!("results travel as BSON"),
    }
}

fn put(spool: &mut Spool, dir: &DataDir, code: &str) -> u64 {
    let key = key(code);
    let frame = frame(&key, b"{}");
    let dropped = spool.put(dir, key, &frame).unwrap();
    dir.commit().unwrap();
    dropped
}

fn codes(spool: &mut Spool, dir: &DataDir) -> Vec<String> {
    let all = spool.read_after(dir, 0, usize::MAX, usize::MAX);
    all.into_iter().map(|s| s.key.code.to_string()).collect()
}

#[test]
fn results_outlive_the_agent_in_order_until_answered() {
    let root = tempfile::tempdir().unwrap();
    let dir = DataDir::open(root.path()).unwrap();
    let mut spool = Spool::load(&dir, NO_LIMIT).unwrap();
    for code in ["b:1", "a-2_x", "c.3"] {
        put(&mut spool, &dir, code);
    }
    let mut spool = Spool::load(&dir, NO_LIMIT).unwrap();
    assert_eq!(codes(&mut spool, &dir), ["b:1", "a-2_x", "c.3"]);
    spool.remove(&dir, &key("a-2_x"));
    let mut spool = Spool::load(&dir, NO_LIMIT).unwrap();
    assert_eq!(codes(&mut spool, &dir), ["b:1", "c.3"]);
    assert!(spool.holds_any_of(key("x").operation));
    assert_eq!(spool.newest(), 3);
}

#[test]
fn a_result_is_kept_once() {
    let root = tempfile::tempdir().unwrap();
    let dir = DataDir::open(root.path()).unwrap();
    let mut spool = Spool::load(&dir, NO_LIMIT).unwrap();
    put(&mut spool, &dir, "a");
    put(&mut spool, &dir, "a");
    assert_eq!(spool.len(), 1);
}

#[test]
fn the_oldest_go_when_it_is_full() {
    let root = tempfile::tempdir().unwrap();
    let dir = DataDir::open(root.path()).unwrap();
    let one = frame(&key("a"), b"{}").len() as u64;
    let mut spool = Spool::load(&dir, one * 2).unwrap();
    assert_eq!(put(&mut spool, &dir, "a"), 0);
    assert_eq!(put(&mut spool, &dir, "b"), 0);
    assert_eq!(put(&mut spool, &dir, "c"), 1);
    assert_eq!(codes(&mut spool, &dir), ["b", "c"]);
    assert_eq!(files(&dir.results()).unwrap().len(), 2);
}

#[test]
fn damaged_files_are_set_aside_and_cost_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let dir = DataDir::open(root.path()).unwrap();
    let mut spool = Spool::load(&dir, NO_LIMIT).unwrap();
    for code in ["a", "b", "c"] {
        put(&mut spool, &dir, code);
    }
    let file = dir.results().join(name_of(2, &key("b")));
    fs::write(&file, b"\x01\x02").unwrap();
    fs::write(dir.results().join("holiday.jpg"), b"x").unwrap();
    // A file under another result's name must not be sent as that one.
    fs::copy(
        dir.results().join(name_of(1, &key("a"))),
        dir.results().join(name_of(4, &key("d"))),
    )
    .unwrap();
    let mut spool = Spool::load(&dir, NO_LIMIT).unwrap();
    assert_eq!(codes(&mut spool, &dir), ["a", "c"]);
    assert_eq!(spool.len(), 2);
    assert_eq!(files(&dir.damaged()).unwrap().len(), 3);
}

#[test]
fn a_batch_is_bounded() {
    let root = tempfile::tempdir().unwrap();
    let dir = DataDir::open(root.path()).unwrap();
    let mut spool = Spool::load(&dir, NO_LIMIT).unwrap();
    for code in ["a", "b", "c"] {
        put(&mut spool, &dir, code);
    }
    assert_eq!(spool.read_after(&dir, 0, 2, usize::MAX).len(), 2);
    assert_eq!(spool.read_after(&dir, 1, 9, 1).len(), 1);
    assert_eq!(spool.read_after(&dir, 3, 9, 9).len(), 0);
}
