//! Properties of the rules: reading orders, planning, prices, capacity, admission.

mod orders;

use chrono::{DateTime, TimeDelta, Utc};
use probe_protocol::{
    Kind, Measurement, OperationId, ProbeId, Rejection, ResultFormat, Schedule, UserId, Whole,
};
use proptest::prelude::*;
use serde_json::json;

use super::{
    Assignment, AssignmentState, Candidate, Capacity, FIRST_GENERATION, LeftOut, Limits, Location,
    Offline, Order, Plan, Presence, Probe,
    admission::admit,
    credits::{run_price, unit_price},
    operation::{ONCE_WAITS, planned_runs, remaining_runs},
    probe::Agent,
    selection::fits,
};

pub(super) const STATES: [AssignmentState; 7] = [
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
        token_generation: FIRST_GENERATION,
        created_at: time(0),
        last_seen: None,
        agent: Some(Agent {
            name: "agent".into(),
            version: "1".into(),
            capabilities,
            total_credits,
        }),
        load,
        refused_results: 0,
        sessions: 0,
    }
}

/// What a store would say of it.
fn capacity(probe: &Probe) -> Capacity {
    let said = |agent: &Agent| Limits {
        capabilities: agent.capabilities.clone(),
        total_credits: agent.total_credits,
    };
    Capacity {
        probe: probe.id,
        limits: probe.agent.as_ref().map(said),
        load: probe.load,
    }
}

pub(super) fn assignment(state: AssignmentState, planned_runs: u32, results: u32) -> Assignment {
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
        let presence = Presence { in_use, sick: false };
        let candidate = Candidate { probe: probe.id, connected: Some(presence) };
        let room = i64::from(total) - load.max(i64::from(in_use));
        let verdict = fits(&capacity(&probe), candidate, Kind::Ping, price, Offline::Skip);
        prop_assert_eq!(verdict.is_ok(), room >= i64::from(price));
        let availability = probe.availability(presence);
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
        let in_time = started <= stop;
        prop_assert_eq!(verdict.is_ok(), (open || before_cancel) && results < planned && in_time);
    }
}

#[test]
fn results_are_refused_for_a_reason() {
    use AssignmentState::{Accepted, Cancelled, Delivered, Expired, Finished, Pending, Refused};
    let (stop, close) = (time(0), time(90));
    let refused = |state, results, started| {
        let verdict = admit(&assignment(state, 5, results), Some(close), started);
        verdict.err()
    };
    for state in [Pending, Delivered, Accepted, Finished] {
        assert_eq!(refused(state, 4, close), None, "{state:?}");
        let after = close + TimeDelta::milliseconds(1);
        assert_eq!(refused(state, 4, after), Some(Rejection::AfterStop));
        assert_eq!(refused(state, 5, stop), Some(Rejection::OverPlan));
    }
    assert_eq!(refused(Refused, 0, stop), Some(Rejection::NotAssigned));
    assert_eq!(refused(Expired, 0, stop), Some(Rejection::Cancelled));
    // It ended at `stop`.
    assert_eq!(refused(Cancelled, 0, stop), None);
    let after = stop + TimeDelta::milliseconds(1);
    assert_eq!(refused(Cancelled, 0, after), Some(Rejection::Cancelled));
}

fn order(schedule: Option<Schedule>) -> Order {
    Order {
        measurement: Measurement::parse(Kind::Ping, &json!({})).unwrap(),
        targets: serde_json::from_str(r#"["192.0.2.1", "example.org"]"#).unwrap(),
        schedule,
        probes: vec![ProbeId::new()],
        offline: Offline::Skip,
        result_format: ResultFormat::Json,
        as_sent: None,
    }
}

#[test]
fn a_plan_closes_a_grace_after_it_expires() {
    let (id, owner, now) = (OperationId::new(), UserId::new(), time(0));
    let plan = |order, grace| Plan::of(order, id, owner, grace, now).unwrap();
    let every_minute = || order(Some(schedule("* * * * *", 2, time(600))));
    for grace in [0, 1, 300].map(TimeDelta::seconds) {
        let repeated = plan(every_minute(), grace);
        assert_eq!(repeated.expires_at, time(600));
        assert_eq!(repeated.closes_at, time(600) + grace);
        let once = plan(order(None), grace);
        assert_eq!(once.expires_at, now + ONCE_WAITS);
        assert_eq!(once.closes_at, now + ONCE_WAITS + grace);
    }
    let for_ever = plan(every_minute(), TimeDelta::MAX);
    assert_eq!(for_ever.closes_at, DateTime::<Utc>::MAX_UTC);
    assert_eq!((for_ever.id, for_ever.owner), (id, owner));
    assert_eq!((for_ever.run_price, for_ever.created_at), (2, now));
    assert_eq!(
        for_ever.planned_runs,
        planned_runs(for_ever.schedule.as_ref(), now)
    );
    assert_eq!(
        for_ever.price_per_probe(),
        i64::from(for_ever.planned_runs) * 2
    );
}

#[test]
fn a_plan_keeps_what_was_sent_and_tells_probes_nothing_of_it() {
    let as_sent = json!({ "fqdns": ["example.org"], "x": { "y": 1.0 } });
    let order = Order {
        as_sent: Some(as_sent.clone()),
        ..order(None)
    };
    let plan = Plan::of(
        order,
        OperationId::new(),
        UserId::new(),
        TimeDelta::zero(),
        time(0),
    );
    let plan = plan.unwrap();
    assert_eq!(plan.as_sent, Some(as_sent));
    let told = serde_json::to_value(plan.assign()).unwrap();
    assert_eq!(told["params"], plan.params);
    assert!(!told.to_string().contains("fqdns"), "{told}");
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
    let able = capacity(&probe(10, 0, vec![Kind::Dns]));
    let here = Candidate {
        probe: able.probe,
        connected: Some(Presence::default()),
    };
    let away = Candidate {
        probe: able.probe,
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
    let sick = Candidate {
        connected: Some(Presence {
            in_use: 0,
            sick: true,
        }),
        ..here
    };
    for offline in [Offline::Skip, Offline::Queue] {
        let verdict = fits(&able, sick, Kind::Dns, 1, offline);
        assert_eq!(verdict, Err(LeftOut::Sick));
    }
    let unknown = Capacity {
        limits: None,
        ..able
    };
    assert_eq!(
        fits(&unknown, away, Kind::Ping, 1000, Offline::Queue),
        Ok(())
    );
}

#[test]
fn a_sick_probe_gets_nothing_more() {
    let probe = probe(10, 0, vec![Kind::Ping]);
    let able = capacity(&probe);
    let presence = |sick| Presence { in_use: 0, sick };
    let here = |sick| Candidate {
        probe: able.probe,
        connected: Some(presence(sick)),
    };
    for offline in [Offline::Skip, Offline::Queue] {
        assert_eq!(fits(&able, here(false), Kind::Ping, 10, offline), Ok(()));
        let verdict = fits(&able, here(true), Kind::Ping, 1, offline);
        assert_eq!(verdict, Err(LeftOut::Sick));
    }
    let (well, sick) = (
        probe.availability(presence(false)),
        probe.availability(presence(true)),
    );
    assert_eq!((well, sick), (1.0, 0.0));
    // Also where nothing is known of it yet.
    let unknown = Capacity {
        limits: None,
        ..able
    };
    let verdict = fits(&unknown, here(true), Kind::Ping, 1, Offline::Skip);
    assert_eq!(verdict, Err(LeftOut::Sick));
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
