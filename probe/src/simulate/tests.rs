//! What a fleet needs before it starts, and what it says of hubs that do wrong.

use futures::StreamExt as _;
use probe_protocol::{
    Close, HubFrame, OperationId, ProbeFrame, ProbeId, Rejection, ResultCode, Welcome,
};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::{
    options::{Lie, Share},
    *,
};
use crate::{
    fixture,
    session::tests::players::{PATIENCE, Seat, TestHub, limits},
};

fn settings(probes: usize) -> Settings {
    let share = |text: &str| text.parse::<Share>().unwrap();
    Settings {
        hubs: vec!["http://127.0.0.1:9".parse().unwrap()],
        tokens: vec!["t".parse().unwrap(); probes],
        any_hub: false,
        old: share("0.25"),
        sources: None,
        connect_rate: 0,
        length: None,
        weather: Weather {
            slow_readers: share("0.1"),
            ..Weather::default()
        },
        liars: share("0.5"),
        lies: Lie::ALL.to_vec(),
        pace: Pace::Schedule,
        window: 64,
        runner: None,
        seed: 7,
    }
}

fn files(now: u64) -> OpenFiles {
    let now = Some(now);
    OpenFiles { before: now, now }
}

#[test]
fn roles_are_as_many_as_asked_for_and_the_same_again() {
    let first = roles(&settings(40));
    assert_eq!(first, roles(&settings(40)));
    let count = |is: fn(&&Role) -> bool| first.iter().filter(is).count();
    assert_eq!(count(|role| role.wire == Wire::Old), 10);
    assert_eq!(count(|role| role.is_slow), 4);
    assert_eq!(count(|role| role.lie.is_some()), 20);
    assert_eq!(count(|role| role.lie == Some(Lie::Late)), 4);
    let other = Settings {
        seed: 8,
        ..settings(40)
    };
    assert_ne!(first, roles(&other));
}

#[tokio::test]
async fn what_does_not_fit_is_told_before_anything_starts() {
    let room = || files(1000);
    let told = |simulation: Result<Simulation, SimulateError>| {
        let error = simulation.err().expect("it must not start");
        (error.is_usage(), error.to_string())
    };
    assert!(Simulation::prepare(settings(10), room()).await.is_ok());
    let (usage, text) = told(Simulation::prepare(settings(1000), room()).await);
    assert!(!usage && text.contains("room for 936"), "{text}");
    let (usage, text) = told(Simulation::prepare(settings(0), room()).await);
    assert!(usage && text.contains("no token"), "{text}");

    let mut elsewhere = settings(1);
    elsewhere.hubs = vec!["http://192.0.2.1".parse().unwrap()];
    let (usage, text) = told(Simulation::prepare(elsewhere.clone(), room()).await);
    assert!(usage && text.contains("--any-hub"), "{text}");
    elsewhere.any_hub = true;
    let meant = Simulation::prepare(elsewhere, room()).await;
    assert_eq!(meant.map(|it| it.sources()).ok(), Some(0));

    let mut one = settings(PORTS_OF_AN_ADDRESS + 1);
    one.sources = "127.0.0.9".parse().ok();
    let (usage, text) = told(Simulation::prepare(one, files(100_000)).await);
    assert!(!usage && text.contains("--sources"), "{text}");
    let mut six = settings(1);
    six.sources = "::1".parse().ok();
    let (usage, text) = told(Simulation::prepare(six, room()).await);
    assert!(usage && text.contains("can reach"), "{text}");
}

/// One probe with one result at a hub that does as it is played; what is told of it. `stops` is how often the
/// simulation is asked to end: the second time it does not wait for answers.
async fn judged(
    lie: Option<Lie>,
    stops: usize,
    play: impl AsyncFnOnce(Seat) -> Option<Seat>,
) -> Summary {
    let hub = TestHub::open().await;
    let at_hub = hub.hub();
    let share = |text: &str| text.parse::<Share>().unwrap();
    let settings = Settings {
        hubs: vec![at_hub.url],
        tokens: vec![at_hub.token],
        old: share("0"),
        weather: Weather::default(),
        liars: share(if lie.is_some() { "1" } else { "0" }),
        lies: lie.into_iter().collect(),
        ..settings(1)
    };
    let simulation = Simulation::prepare(settings, files(1000)).await.unwrap();
    let (stop, stopped) = mpsc::channel(stops);
    let running = tokio::spawn(simulation.run(stopped, |_| {}));
    let mut seat = hub.upgrade().await;
    let hello = seat.frame().await;
    assert!(matches!(hello, ProbeFrame::Hello(_)), "{hello:?}");
    let welcome = Welcome {
        probe: ProbeId::new(),
        session: 1,
        instance: "test".to_owned(),
        hub_time: chrono::Utc::now(),
        limits: limits(),
    };
    seat.send(&HubFrame::Welcome(welcome)).await;
    seat.assign(&fixture::once(1)).await;
    let operation = fixture::operation(1);
    assert_eq!(seat.frame().await, ProbeFrame::Accepted { operation });
    let seat = play(seat).await;
    for _ in 0..stops {
        stop.send(()).await.unwrap();
    }
    // Its goodbye is answered.
    let reading = tokio::spawn(async {
        if let Some(mut seat) = seat {
            while let Some(Ok(_)) = seat.0.next().await {}
        }
    });
    let summary = timeout(PATIENCE, running).await.unwrap().unwrap();
    reading.abort();
    summary
}

async fn refuse(seat: &mut Seat, operation: OperationId, code: ResultCode, reason: Rejection) {
    let refused = HubFrame::Rejected {
        operation,
        code,
        reason,
    };
    seat.send(&refused).await;
}

#[tokio::test]
async fn a_hub_that_does_right_is_told_of() {
    let summary = judged(Some(Lie::Forged), 1, async |mut seat| {
        let (honest, forged) = (seat.result().await, seat.result().await);
        assert_ne!(honest.operation, forged.operation);
        let reason = Rejection::UnknownOperation;
        refuse(&mut seat, forged.operation, forged.code, reason).await;
        seat.stored(honest.operation, honest.code).await;
        Some(seat)
    })
    .await;
    assert!(summary.ok, "{summary:?}");
    assert_eq!(summary.lies[&Lie::Forged].refused["unknown_operation"], 1);
}

#[tokio::test]
async fn a_hub_that_believes_a_lie_is_told_of() {
    for lie in [Lie::Forged, Lie::Late] {
        let summary = judged(Some(lie), 1, async |mut seat| {
            let honest = seat.result().await;
            seat.stored(honest.operation, honest.code).await;
            let lied = seat.result().await;
            seat.stored(lied.operation, lied.code).await;
            Some(seat)
        })
        .await;
        assert!(!summary.ok);
        assert_eq!((summary.unexpected, summary.results.unanswered), (1, 0));
        assert_eq!(summary.lies[&lie].unexpected, 1, "{lie}");
        assert_eq!(summary.errors["believed"].count, 1);
    }
}

#[tokio::test]
async fn a_hub_that_refuses_what_is_right_is_told_of() {
    for (reason, ok) in [
        (Rejection::Cancelled, true),
        (Rejection::AfterStop, false),
        (Rejection::OverPlan, false),
    ] {
        let summary = judged(None, 1, async |mut seat| {
            let result = seat.result().await;
            refuse(&mut seat, result.operation, result.code, reason).await;
            Some(seat)
        })
        .await;
        assert_eq!(summary.ok, ok, "{reason:?} {summary:?}");
        assert_eq!(summary.results.refused, 1);
    }
}

#[tokio::test]
async fn a_hub_that_says_nothing_or_nonsense_is_told_of() {
    let silent = judged(None, 2, async |mut seat| {
        seat.result().await;
        Some(seat)
    })
    .await;
    assert!(!silent.ok);
    assert_eq!((silent.unexpected, silent.results.unanswered), (0, 1));

    let confused = judged(None, 1, async |mut seat| {
        let result = seat.result().await;
        let nonsense = Message::text("{");
        futures::SinkExt::send(&mut seat.0, nonsense).await.unwrap();
        seat.stored(result.operation, result.code).await;
        Some(seat)
    })
    .await;
    assert!(!confused.ok);
    assert_eq!(confused.errors["unreadable"].count, 1);
}

#[tokio::test]
async fn a_hub_that_closes_for_no_reason_is_told_of() {
    for (close, unexpected) in [(Close::Restart, 0), (Close::ProtocolError, 1)] {
        let summary = judged(None, 2, async |mut seat| {
            seat.result().await;
            seat.close(close.code()).await;
            None
        })
        .await;
        assert_eq!(summary.closes[&close.code()], 1);
        assert_eq!(summary.unexpected, unexpected, "{summary:?}");
    }
}
