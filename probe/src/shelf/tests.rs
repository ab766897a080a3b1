use super::*;
use crate::{assignments::new_code, fixture};

fn open(root: &std::path::Path) -> ShelfHandle {
    let dir = DataDir::open(root).unwrap();
    ShelfHandle::start(Shelf::load(dir, 1 << 30).unwrap()).unwrap()
}

/// The next agent on the same directory: waits until the thread of the last one let go of the lock.
async fn reopen(handle: ShelfHandle, root: &std::path::Path) -> ShelfHandle {
    drop(handle);
    loop {
        match DataDir::open(root) {
            Ok(dir) => return ShelfHandle::start(Shelf::load(dir, 1 << 30).unwrap()).unwrap(),
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

#[tokio::test]
async fn an_operation_is_settled_when_it_ended_and_all_is_answered() {
    let root = tempfile::tempdir().unwrap();
    let shelf = open(root.path());
    let operation = fixture::operation(1);
    let record = shelf
        .call(|shelf| shelf.accept(fixture::once(1), Utc::now()))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(shelf.now().in_use_credits, 1);
    let Progress::Once { code } = record.progress else {
        panic!("a once assignment")
    };
    let key = ResultKey { operation, code };
    let result = fixture::result_frame(&key);
    let kept = key.clone();
    shelf
        .call(move |shelf| shelf.keep_last(kept, &result))
        .await
        .unwrap();
    let now = shelf.now();
    assert_eq!((now.in_use_credits, now.spooled), (0, 1));
    assert!(now.settled.is_empty());
    shelf
        .call(move |shelf| shelf.answered(&[key]))
        .await
        .unwrap();
    assert_eq!(*shelf.now().settled, [operation]);

    let shelf = reopen(shelf, root.path()).await;
    assert_eq!(*shelf.now().settled, [operation]);
    shelf
        .call(move |shelf| shelf.close(operation))
        .await
        .unwrap();
    assert!(shelf.now().settled.is_empty());
}

#[tokio::test]
async fn a_once_run_whose_result_is_kept_is_over_after_a_crash() {
    let root = tempfile::tempdir().unwrap();
    let shelf = open(root.path());
    let record = shelf
        .call(|shelf| shelf.accept(fixture::once(1), Utc::now()))
        .await
        .unwrap()
        .unwrap();
    let Progress::Once { code } = record.progress else {
        panic!("a once assignment")
    };
    let operation = fixture::operation(1);
    let key = ResultKey { operation, code };
    let frame = fixture::result_frame(&key);
    // The crash comes between the two writes.
    shelf
        .call(move |shelf| shelf.keep(key, &frame))
        .await
        .unwrap();
    let shelf = reopen(shelf, root.path()).await;
    let ended = shelf
        .call(move |shelf| shelf.assignments.get(operation).and_then(|r| r.ended))
        .await
        .unwrap();
    assert_eq!(ended, Some(Ended::Completed));
}

#[tokio::test]
async fn counters_and_rules_outlive_the_agent() {
    let root = tempfile::tempdir().unwrap();
    let shelf = open(root.path());
    let rules = Rules {
        target_policy: TargetPolicy::Any,
        max_frame: 1000,
    };
    shelf
        .call(move |shelf| {
            shelf.obey(rules);
            shelf.count(|counters| counters.dropped += 2);
        })
        .await
        .unwrap();
    let shelf = reopen(shelf, root.path()).await;
    assert_eq!(shelf.now().rules, rules);
    assert_eq!(shelf.now().counters.dropped, 2);
    fs::write(root.path().join(RULES), "{").unwrap();
    let shelf = reopen(shelf, root.path()).await;
    assert_eq!(shelf.now().rules, Rules::default());
}

/// The disk must keep up with hundreds of small results a second; measured, not required, on a slow machine.
#[tokio::test]
async fn calls_that_wait_together_share_a_sync() {
    let root = tempfile::tempdir().unwrap();
    let shelf = open(root.path());
    let operation = fixture::operation(1);
    let puts = (0..300).map(|_| {
        let code = new_code();
        let key = ResultKey { operation, code };
        let frame = fixture::result_frame(&key);
        shelf.call(move |shelf| shelf.keep(key, &frame))
    });
    let began = std::time::Instant::now();
    futures::future::join_all(puts).await;
    eprintln!("300 results durable in {:?}", began.elapsed());
    assert_eq!(shelf.now().spooled, 300);
}
