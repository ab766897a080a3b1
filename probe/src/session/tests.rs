pub(crate) mod players;

use probe_protocol::{Close, Kind, RunResult};

use super::*;
use crate::{
    fixture::{self, FREELY},
    link::Unlinked,
};

use players::*;

#[tokio::test]
async fn an_assignment_from_assign_to_closed() {
    let (_root, hub, agent) = both(FREELY).await;
    let (mut seat, held) = hub.session(limits()).await;
    assert_eq!(held, []);
    let operation = fixture::operation(1);
    seat.assign(&fixture::once(1)).await;
    assert_eq!(seat.frame().await, ProbeFrame::Accepted { operation });
    let result = seat.result().await;
    assert_eq!(result.operation, operation);
    seat.stored(operation, result.code).await;
    assert_eq!(seat.frame().await, ProbeFrame::Finished { operation });
    seat.send(&HubFrame::Closed { operation }).await;
    seat.close(Close::Restart.code()).await;
    let (seat, held) = hub.session(limits()).await;
    assert_eq!(held, []);
    agent.stop.cancel();
    drop(seat);
    assert_eq!(agent.link.await.unwrap(), Unlinked::Stopped);
}

#[tokio::test]
async fn a_repeated_assignment_has_no_further_effect() {
    let (_root, hub, agent) = both(0).await;
    let (mut seat, _) = hub.session(limits()).await;
    let operation = fixture::operation(1);
    for _ in 0..3 {
        seat.assign(&fixture::once(1)).await;
        assert_eq!(seat.frame().await, ProbeFrame::Accepted { operation });
    }
    agent.runner.may_end.add_permits(FREELY);
    let result = seat.result().await;
    seat.stored(operation, result.code).await;
    assert_eq!(seat.frame().await, ProbeFrame::Finished { operation });
    // Also of one that is over.
    seat.assign(&fixture::once(1)).await;
    assert_eq!(seat.frame().await, ProbeFrame::Accepted { operation });
    assert_eq!(seat.frame().await, ProbeFrame::Finished { operation });
}

#[tokio::test]
async fn what_is_unanswered_comes_again_in_the_next_session() {
    let (_root, hub, _agent) = both(FREELY).await;
    let (mut seat, _) = hub.session(limits()).await;
    let operation = fixture::operation(1);
    seat.assign(&fixture::once(1)).await;
    assert_eq!(seat.frame().await, ProbeFrame::Accepted { operation });
    let first = seat.result().await;
    seat.close(Close::Slow.code()).await;
    let (mut seat, held) = hub.session(limits()).await;
    assert_eq!(held, [operation]);
    assert_eq!(seat.result().await, first);
    let reason = probe_protocol::Rejection::OverPlan;
    let code = first.code;
    seat.send(&HubFrame::Rejected {
        operation,
        code,
        reason,
    })
    .await;
    assert_eq!(seat.frame().await, ProbeFrame::Finished { operation });
    drop(seat); // not closed: finished is said again
    let (mut seat, held) = hub.session(limits()).await;
    assert_eq!(held, [operation]);
    assert_eq!(seat.frame().await, ProbeFrame::Finished { operation });
}

#[tokio::test]
async fn a_cancelled_assignment_finishes() {
    let (_root, hub, _agent) = both(0).await;
    let (mut seat, _) = hub.session(limits()).await;
    let assigns = [fixture::once(1), fixture::scheduled(2, "* * * * *", 1)];
    for assign in &assigns {
        seat.assign(assign).await;
        let operation = assign.operation;
        assert_eq!(seat.frame().await, ProbeFrame::Accepted { operation });
    }
    // The third is unknown.
    for operation in [1, 2, 3].map(fixture::operation) {
        for _ in 0..2 {
            seat.send(&HubFrame::Cancel { operation }).await;
            assert_eq!(seat.frame().await, ProbeFrame::Finished { operation });
        }
    }
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_with_a_reason() {
    let (_root, hub, _agent) = both(0).await;
    let (mut seat, _) = hub.session(limits()).await;
    let with = |change: fn(&mut Assign)| {
        let mut assign = fixture::once(1);
        change(&mut assign);
        HubFrame::Assign(assign).to_text().unwrap()
    };
    let newer = with(|_| {}).replace("\"ping\"", "\"http\"");
    for (text, word) in [
        (with(|a| a.kind = Kind::Dns), "params"),
        (
            with(|a| (a.kind, a.params) = (Kind::Dns, serde_json::json!({}))),
            "cannot run dns",
        ),
        (with(|a| a.params = serde_json::json!({"size": 256})), "255"),
        (with(|a| a.targets.clear()), "targets"),
        (with(|a| a.credits = 11), "no room"),
        (newer, "cannot read"),
    ] {
        seat.0.send(Message::text(text)).await.unwrap();
        match seat.frame().await {
            ProbeFrame::Refused { operation, reason } => {
                assert_eq!(operation, fixture::operation(1));
                assert!(reason.contains(word), "{reason}");
            }
            other => panic!("not refused: {other:?}"),
        }
    }
    // Frames of a later protocol are no reason to leave.
    for text in [r#"{"type":"dance"}"#, "{", r#"{"type":"assign"}"#] {
        seat.0.send(Message::text(text)).await.unwrap();
    }
    seat.assign(&fixture::once(1)).await;
    assert!(matches!(seat.frame().await, ProbeFrame::Accepted { .. }));
}

#[tokio::test]
async fn codes_that_say_never_are_obeyed() {
    let (_root, hub, agent) = both(FREELY).await;
    let (seat, _) = hub.session(limits()).await;
    seat.close(Close::Revoked.code()).await;
    let (code, reason) = (Close::Revoked.code(), "word".to_owned());
    let unlinked = timeout(PATIENCE, agent.link).await.unwrap().unwrap();
    assert_eq!(unlinked, Unlinked::Never { code, reason });
}

#[tokio::test]
async fn pings_and_clock_questions_are_answered_at_once() {
    let (_root, hub, _agent) = both(FREELY).await;
    let (mut seat, _) = hub.session(limits()).await;
    // The first status, else it stands between.
    assert!(matches!(seat.message().await, Message::Text(_)));
    seat.0.send(Message::Ping("beat".into())).await.unwrap();
    assert_eq!(seat.message().await, Message::Pong("beat".into()));
    let before = now_micros();
    seat.send(&HubFrame::Time { sent: 42 }).await;
    let ProbeFrame::Time {
        hub_sent,
        received,
        sent,
    } = seat.frame().await
    else {
        panic!("not an answer to time")
    };
    assert_eq!(hub_sent, 42);
    assert!(before <= received && received <= sent && sent <= now_micros());
}

#[tokio::test]
async fn never_more_than_the_window_is_under_way() {
    let (_root, hub, agent) = both(0).await;
    let narrow = Limits {
        max_unanswered: 2,
        ..limits()
    };
    let (mut seat, _) = hub.session(narrow).await;
    for number in 1..=5 {
        seat.assign(&fixture::once(number)).await;
        assert!(matches!(seat.frame().await, ProbeFrame::Accepted { .. }));
    }
    agent.runner.may_end.add_permits(FREELY);
    let mut unanswered = vec![seat.result().await, seat.result().await];
    for left in (0..3).rev() {
        // Nothing but the answer comes while two are unanswered.
        seat.send(&HubFrame::Time { sent: 1 }).await;
        assert!(matches!(seat.frame().await, ProbeFrame::Time { .. }));
        let RunResult {
            operation, code, ..
        } = unanswered.remove(0);
        seat.stored(operation, code).await;
        for _ in 0..2 {
            match seat.frame().await {
                ProbeFrame::Finished {
                    operation: finished,
                } => assert_eq!(finished, operation),
                ProbeFrame::Result(result) => unanswered.push(result),
                other => panic!("neither: {other:?} with {left} left"),
            }
        }
        assert_eq!(unanswered.len(), 2);
    }
}

#[tokio::test]
async fn a_silent_hub_is_left() {
    let (_root, hub, _agent) = both(FREELY).await;
    let brisk = Limits {
        heartbeat_s: 1,
        ..limits()
    };
    let (mut silent, _) = hub.session(brisk).await;
    // The agent leaves and comes back while the old connection still stands.
    let again = hub.session(limits()).await;
    assert!(matches!(silent.message().await, Message::Text(_)));
    drop(again);
}

#[tokio::test]
async fn a_result_longer_than_this_hub_takes_is_sent_as_a_failure() {
    let (_root, hub, _agent) = both(FREELY).await;
    let tight = Limits {
        max_frame: 100,
        ..limits()
    };
    let (mut seat, _) = hub.session(tight).await;
    seat.assign(&fixture::once(1)).await;
    assert!(matches!(seat.frame().await, ProbeFrame::Accepted { .. }));
    let result = seat.result().await;
    let text = String::from_utf8(result.content.into_vec()).unwrap();
    assert!(text.contains("longer than the hub takes"), "{text}");
}
