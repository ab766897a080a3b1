//! Properties of the rules: reading orders, planning, prices, capacity, admission.

mod orders;

use chrono::{DateTime, TimeDelta, Utc};
use probe_protocol::{Kind, OperationId, ProbeId, Rejection, Schedule, UserId, Whole};
use proptest::prelude::*;

use super::{
    Assignment, AssignmentState, Candidate, LeftOut, Location, Offline, Probe,
    admission::{STOP_GRACE, admit},
    credits::{run_price, unit_price},
    operation::{planned_runs, remaining_runs},
    probe::Agent,
    selection::fits,
};

const STATES: [AssignmentState; 7] = [
    AssignmentState::Pending,
    AssignmentState::Delivered,
    AssignmentState::Accepted,
    AssignmentState::Finished,
    AssignmentState::Refused,
    AssignmentState::Cancelled,
    AssignmentState::Expired,
];

fn time(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(Kind::ALL)
}

fn schedule(cron: &str, times: u32, stop_time: DateTime<Utc>) -> Schedule {
    Schedule {
        cron: cron.parse().unwrap(),
        times_per_minute: Whole::new(times).unwrap(),
        stop_time,
    }
}

fn probe(total_credits: u32, load: i64, capabilities: Vec<Kind>) -> Probe {
    Probe {
        id: ProbeId::new(),
        owner: UserId::new(),
        name: None,
        location: Location {
            longitude: 0.0,
            latitude: 0.0,
        },
        token_generation: 1,
        created_at: time(0),
        last_seen: None,
        agent: Some(Agent {
            name: "agent".into(),
            version: "1".into(),
            capabilities,
            total_credits,
        }),
        load,
    }
}

fn assignment(state: AssignmentState, planned_runs: u32, results: u32) -> Assignment {
    Assignment {
        operation: OperationId::new(),
        probe: ProbeId::new(),
        state,
        reason: None,
        planned_runs,
        results,
        delivered_at: None,
        accepted_at: None,
        ended_at: state.is_ended().then(|| time(0)),
    }
}

proptest! {
    /// Every minute: the runs are the whole minutes between, at least one, times the runs of a minute.
    #[test]
    fn planned_runs_are_counted_exactly(seconds in -3600_i64..1_000_000, times in 1_u32..=60) {
        let now = time(30);
        let stop = now + TimeDelta::seconds(seconds);
        let whole_minutes = (1..).map(|n| now - TimeDelta::seconds(now.timestamp() % 60) + TimeDelta::minutes(n));
        let expected = whole_minutes.take_while(|t| *t < stop).count();
        let expected = u32::try_from(expected).unwrap() * times;
        let schedule = schedule("* * * * *", times, stop);
        prop_assert_eq!(remaining_runs(Some(&schedule), now), expected);
        prop_assert_eq!(planned_runs(Some(&schedule), now), expected.max(1));
    }

    /// What is left plus what has passed is what was planned, wherever one looks.
    #[test]
    fn passed_and_remaining_runs_add_up(minutes in 2_i64..5000, at in 0_i64..5000, step in 1_u32..30) {
        let (now, stop) = (time(0), time(minutes * 60));
        let looked = time((at % minutes) * 60 + 1);
        let schedule = schedule(&format!("*/{step} * * * *"), 1, stop);
        let before = self::schedule(&format!("*/{step} * * * *"), 1, looked);
        let passed = remaining_runs(Some(&before), now);
        prop_assert_eq!(passed + remaining_runs(Some(&schedule), looked), remaining_runs(Some(&schedule), now));
    }

    #[test]
    fn a_price_grows_with_its_destinations(kind in kind(), destinations in 1_usize..=100) {
        let price = run_price(kind, destinations);
        prop_assert_eq!(usize::try_from(price).unwrap(), usize::try_from(unit_price(kind)).unwrap() * destinations);
    }

    /// A probe is never given more than it declared, whoever knows better how busy it is.
    #[test]
    fn no_probe_is_overloaded(total: u32, load in 0_i64..5_000_000_000, in_use: u32, price in 1_u32..=1500) {
        let probe = probe(total, load, vec![Kind::Ping]);
        let candidate = Candidate { probe: probe.id, connected: Some(in_use) };
        let room = i64::from(total) - load.max(i64::from(in_use));
        let verdict = fits(&probe, candidate, Kind::Ping, price, Offline::Skip);
        prop_assert_eq!(verdict.is_ok(), room >= i64::from(price));
        let availability = probe.availability(in_use);
        prop_assert!((0.0..=1.0).contains(&availability), "{}", availability);
    }

    /// Nothing is taken beyond the plan, after the stop, or of what was refused or expired.
    #[test]
    fn only_planned_runs_count(
        state in prop::sample::select(&STATES),
        planned in 0_u32..5,
        results in 0_u32..5,
        started in -1000_i64..1000,
        stop in -1000_i64..1000,
    ) {
        let assignment = assignment(state, planned, results);
        let verdict = admit(&assignment, Some(time(stop)), time(started));
        let open = matches!(
            state,
            AssignmentState::Pending | AssignmentState::Delivered | AssignmentState::Accepted | AssignmentState::Finished
        );
        let before_cancel = state == AssignmentState::Cancelled && started <= 0;
        let in_time = time(started) <= time(stop) + STOP_GRACE;
        prop_assert_eq!(verdict.is_ok(), (open || before_cancel) && results < planned && in_time);
    }
}

#[test]
fn a_one_off_has_one_run_and_no_stop() {
    assert_eq!(planned_runs(None, time(0)), 1);
    assert_eq!(
        admit(
            &assignment(AssignmentState::Accepted, 1, 0),
            None,
            time(1 << 30)
        ),
        Ok(())
    );
    let full = admit(&assignment(AssignmentState::Finished, 1, 1), None, time(0));
    assert_eq!(full, Err(Rejection::OverPlan));
}

#[test]
fn probes_are_left_out_for_a_reason() {
    let able = probe(10, 0, vec![Kind::Dns]);
    let here = Candidate {
        probe: able.id,
        connected: Some(0),
    };
    let away = Candidate {
        probe: able.id,
        connected: None,
    };
    assert_eq!(fits(&able, here, Kind::Dns, 10, Offline::Skip), Ok(()));
    assert_eq!(
        fits(&able, here, Kind::Dns, 11, Offline::Skip),
        Err(LeftOut::Full)
    );
    assert_eq!(
        fits(&able, here, Kind::Ping, 1, Offline::Skip),
        Err(LeftOut::Incapable)
    );
    assert_eq!(
        fits(&able, away, Kind::Dns, 1, Offline::Skip),
        Err(LeftOut::Offline)
    );
    assert_eq!(fits(&able, away, Kind::Dns, 1, Offline::Queue), Ok(()));
    let unknown = Probe {
        agent: None,
        ..able
    };
    assert_eq!(
        fits(&unknown, away, Kind::Ping, 1000, Offline::Queue),
        Ok(())
    );
}

/// From every state, however it goes on, an assignment ends and then stays.
#[test]
fn ended_assignments_stay_ended() {
    for from in STATES {
        let next: Vec<AssignmentState> = STATES
            .into_iter()
            .filter(|next| from.may_become(*next))
            .collect();
        assert_eq!(next.is_empty(), from.is_ended(), "{from:?}");
        assert!(
            from.is_ended() || next.iter().any(|state| state.is_ended()),
            "{from:?}"
        );
    }
}
