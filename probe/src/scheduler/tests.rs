use std::path::Path;

use probe_protocol::{Assign, ProbeFrame};
use tokio::sync::mpsc::UnboundedReceiver;

use super::*;
use crate::fixture::{self, FREELY, HandClock, Scripted};

fn at(text: &str) -> DateTime<Utc> {
    format!("2026-03-01T{text}Z").parse().unwrap()
}

struct Bench {
    clock: Arc<HandClock>,
    shelf: ShelfHandle,
    runner: Arc<Scripted>,
    starts: UnboundedReceiver<(Job, DateTime<Utc>)>,
    scheduler: Scheduler,
}

impl Bench {
    /// An agent without a link, started at this time on this directory with what lies there.
    async fn start(root: &Path, time: &str, may_end: usize, slots: usize) -> Self {
        let clock = HandClock::new(at(time));
        let shelf = fixture::shelf(root).await;
        let (runner, starts) = Scripted::new(clock.clone(), may_end);
        let scheduler = Scheduler::new(shelf.clone(), runner.clone(), clock.clone(), slots);
        let held = shelf.call(|shelf| shelf.assignments.iter().cloned().collect::<Vec<_>>());
        held.await
            .unwrap()
            .into_iter()
            .for_each(|record| scheduler.follow(record));
        Self {
            clock,
            shelf,
            runner,
            starts,
            scheduler,
        }
    }

    async fn assign(&self, assign: Assign) {
        let now = self.clock.now();
        let record = self.shelf.call(move |shelf| shelf.accept(assign, now));
        self.scheduler.follow(record.await.unwrap().unwrap());
    }

    async fn next_start(&mut self) -> String {
        let (_, time) = self.starts.recv().await.unwrap();
        time.format("%H:%M:%S").to_string()
    }

    /// Waits until so many results are kept.
    async fn results(&self, count: u32) -> Vec<RunCode> {
        let mut snapshots = self.shelf.watch();
        snapshots.wait_for(|s| s.spooled >= count).await.unwrap();
        let all = self.shelf.call(|shelf| shelf.read_after(0, 1000, 1 << 30));
        let all = all.await.unwrap();
        assert_eq!(all.len(), count as usize);
        all.into_iter()
            .map(|one| match ProbeFrame::from_binary(&one.frame).unwrap() {
                ProbeFrame::Result(result) => (result.code, result.started_at),
                other => panic!("not a result: {other:?}"),
            })
            .collect()
    }

    async fn skipped(&self, count: u64) {
        let mut snapshots = self.shelf.watch();
        let enough = snapshots.wait_for(|s| s.counters.skipped >= count);
        assert_eq!(enough.await.unwrap().counters.skipped, count);
    }

    /// As kill -9 would: nothing is finished or written any more.
    async fn kill(self) {
        self.scheduler.stop(Duration::ZERO).await;
    }
}

type RunCode = (ResultCode, DateTime<Utc>);

#[tokio::test]
async fn a_schedule_runs_at_its_times_and_ends() {
    let root = tempfile::tempdir().unwrap();
    let mut bench = Bench::start(root.path(), "10:00:30", FREELY, 4).await;
    let mut assign = fixture::scheduled(1, "*/2 * * * *", 3);
    assign.schedule.as_mut().unwrap().stop_time = at("10:03:00");
    bench.assign(assign).await;
    assert_eq!(bench.shelf.now().in_use_credits, 1);
    for time in ["10:02:00", "10:02:20", "10:02:40"] {
        bench.clock.set(at(time));
        assert_eq!(bench.next_start().await, time);
    }
    let results = bench.results(3).await;
    let mut codes: Vec<_> = results.iter().map(|(code, _)| code).collect();
    codes.dedup();
    assert_eq!(codes.len(), 3);
    let mut snapshots = bench.shelf.watch();
    snapshots.wait_for(|s| s.in_use_credits == 0).await.unwrap();
}

#[tokio::test]
async fn a_started_instant_is_never_run_twice() {
    let root = tempfile::tempdir().unwrap();
    let mut bench = Bench::start(root.path(), "10:00:30", 0, 4).await;
    bench.assign(fixture::scheduled(1, "* * * * *", 2)).await;
    bench.clock.set(at("10:01:00"));
    assert_eq!(bench.next_start().await, "10:01:00");
    bench.kill().await;
    // Ten seconds later: the cut run is lost, the next of the same minute is due as if nothing had happened.
    let mut bench = Bench::start(root.path(), "10:01:10", FREELY, 4).await;
    bench.clock.set(at("10:01:30"));
    assert_eq!(bench.next_start().await, "10:01:30");
    assert_eq!(bench.results(1).await[0].1, at("10:01:30"));
}

#[tokio::test]
async fn a_once_run_that_was_cut_is_repeated_under_the_same_code() {
    let root = tempfile::tempdir().unwrap();
    let mut bench = Bench::start(root.path(), "10:00:30", 0, 4).await;
    bench.assign(fixture::once(1)).await;
    bench.next_start().await;
    let operation = fixture::operation(1);
    let record = bench
        .shelf
        .call(move |shelf| shelf.assignments.get(operation).cloned());
    let Progress::Once { code } = record.await.unwrap().unwrap().progress else {
        panic!("a once assignment")
    };
    bench.kill().await;
    let mut bench = Bench::start(root.path(), "12:00:00", FREELY, 4).await;
    bench.next_start().await;
    assert_eq!(bench.results(1).await[0].0, code);
    // And when it is over, it is over.
    bench.kill().await;
    let mut bench = Bench::start(root.path(), "12:00:00", FREELY, 4).await;
    bench.assign(fixture::scheduled(2, "1 12 * * *", 1)).await;
    bench.clock.set(at("12:01:00"));
    assert_eq!(bench.next_start().await, "12:01:00");
    bench.results(2).await;
    assert!(bench.starts.try_recv().is_err());
}

#[tokio::test]
async fn instants_of_a_long_absence_are_skipped_and_counted() {
    let root = tempfile::tempdir().unwrap();
    let bench = Bench::start(root.path(), "10:00:30", FREELY, 4).await;
    bench.assign(fixture::scheduled(1, "* * * * *", 2)).await;
    bench.kill().await;
    // 10:01:00 to 10:04:30 are eight runs; the one at 10:05:00 is 40 s late and still runs.
    let mut bench = Bench::start(root.path(), "10:05:40", FREELY, 4).await;
    assert_eq!(bench.next_start().await, "10:05:40");
    assert_eq!(bench.next_start().await, "10:05:40");
    bench.skipped(8).await;
    bench.clock.set(at("10:06:00"));
    assert_eq!(bench.next_start().await, "10:06:00");
}

#[tokio::test]
async fn a_run_without_a_slot_within_a_minute_is_skipped() {
    let root = tempfile::tempdir().unwrap();
    let mut bench = Bench::start(root.path(), "10:00:30", 0, 1).await;
    bench.assign(fixture::scheduled(1, "* * * * *", 1)).await;
    bench.clock.set(at("10:01:00"));
    bench.next_start().await;
    assert_eq!(bench.scheduler.running(), 1);
    bench.clock.set(at("10:02:00"));
    bench.clock.set(at("10:03:00"));
    bench.skipped(1).await;
    bench.runner.may_end.add_permits(FREELY);
    assert_eq!(bench.next_start().await, "10:03:00");
}

#[tokio::test]
async fn cancelling_kills_what_runs() {
    let root = tempfile::tempdir().unwrap();
    let mut bench = Bench::start(root.path(), "10:00:30", 0, 4).await;
    bench.assign(fixture::once(1)).await;
    bench.assign(fixture::scheduled(2, "* * * * *", 1)).await;
    bench.clock.set(at("10:01:00"));
    bench.next_start().await;
    bench.next_start().await;
    assert_eq!(bench.scheduler.running(), 2);
    bench.scheduler.cancel(fixture::operation(1)).await;
    bench.scheduler.cancel(fixture::operation(2)).await;
    assert_eq!(bench.scheduler.running(), 0);
    bench.scheduler.cancel(fixture::operation(3)).await;
    bench.results(0).await;
}

#[tokio::test]
async fn a_stop_waits_for_runs_that_end_soon() {
    let root = tempfile::tempdir().unwrap();
    let mut bench = Bench::start(root.path(), "10:00:30", 0, 4).await;
    bench.assign(fixture::scheduled(1, "* * * * *", 1)).await;
    bench.clock.set(at("10:01:00"));
    bench.next_start().await;
    let stop = bench.scheduler.stop(Duration::from_secs(3600));
    tokio::pin!(stop);
    assert!(futures::poll!(&mut stop).is_pending());
    bench.runner.may_end.add_permits(1);
    stop.await;
    assert_eq!(bench.results(1).await.len(), 1);
    assert_eq!(
        bench.shelf.now().in_use_credits,
        1,
        "it goes on at the next start"
    );
}
