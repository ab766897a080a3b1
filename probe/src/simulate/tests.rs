//! What a fleet needs before it starts.

use super::{
    options::{Lie, Share},
    *,
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
