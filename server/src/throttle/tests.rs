//! How attempts are counted, with a clock of our own.

use futures::{StreamExt as _, stream};
use governor::clock::FakeRelativeClock;

use super::*;

fn throttle(per_minute: u32) -> (Throttle<FakeRelativeClock>, FakeRelativeClock) {
    let clock = FakeRelativeClock::default();
    let per_minute = NonZeroU32::new(per_minute).unwrap();
    let rates = Rates {
        logins: per_minute,
        creations: per_minute,
    };
    let key = SecretKey("a key of tests".to_owned());
    (Throttle::with_clock(rates, key, None, &clock), clock)
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_minutes_worth_may_come_at_once_and_then_one_by_one() {
    let (throttle, clock) = throttle(20);
    let caller = address("192.0.2.7");
    for _ in 0..20 {
        throttle.from_address(caller).await.let_in().unwrap();
    }
    let refused = throttle.from_address(caller).await.let_in().unwrap_err();
    assert_eq!(refused, TooMany { retry_after_s: 3 });
    clock.advance(Duration::from_millis(2_500));
    let refused = throttle.from_address(caller).await.let_in().unwrap_err();
    assert_eq!(refused, TooMany { retry_after_s: 1 });
    clock.advance(Duration::from_secs(refused.retry_after_s));
    throttle.from_address(caller).await.let_in().unwrap();
    throttle.from_address(caller).await.let_in().unwrap_err();
    clock.advance(Duration::from_secs(60));
    for _ in 0..20 {
        throttle.from_address(caller).await.let_in().unwrap();
    }
    throttle.from_address(caller).await.let_in().unwrap_err();
}

#[tokio::test]
async fn attempts_that_are_refused_do_not_count() {
    let (throttle, clock) = throttle(1);
    let caller = address("192.0.2.7");
    throttle.from_address(caller).await.let_in().unwrap();
    for _ in 0..1000 {
        throttle.from_address(caller).await.let_in().unwrap_err();
    }
    clock.advance(Duration::from_secs(60));
    throttle.from_address(caller).await.let_in().unwrap();
}

#[tokio::test]
async fn a_clients_other_addresses_are_the_same_client() {
    for (one, other) in [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"),
        ("192.0.2.7", "::ffff:192.0.2.7"),
    ] {
        assert_eq!(
            one_client(address(one)),
            one_client(address(other)),
            "{one}"
        );
    }
    for (one, other) in [
        ("2001:db8:1:2::1", "2001:db8:1:3::1"),
        ("192.0.2.7", "192.0.2.8"),
        ("::ffff:192.0.2.7", "::ffff:192.0.2.8"),
    ] {
        assert_ne!(
            one_client(address(one)),
            one_client(address(other)),
            "{one}"
        );
    }
    let (throttle, _) = throttle(1);
    throttle
        .from_address(address("2001:db8:1:2::1"))
        .await
        .let_in()
        .unwrap();
    throttle
        .from_address(address("2001:db8:1:2::2"))
        .await
        .let_in()
        .unwrap_err();
}

#[tokio::test]
async fn addresses_and_accounts_have_counters_of_their_own() {
    let (throttle, _) = throttle(1);
    throttle
        .from_address(address("192.0.2.7"))
        .await
        .let_in()
        .unwrap();
    throttle.on_account("192.0.2.7").await.let_in().unwrap();
    throttle.on_account("192.0.2.7").await.let_in().unwrap_err();
    // Upper and lower case are two accounts.
    let others = ["a", "A"]
        .into_iter()
        .flat_map(|letter| (0..10).map(move |n| format!("{letter}{n}@example.com")));
    for email in others {
        throttle.on_account(&email).await.let_in().unwrap();
    }
}

#[tokio::test]
async fn an_attack_fills_no_memory_and_locks_hardly_anyone_out() {
    let (throttle, _) = throttle(3);
    for n in 0..100_000_u32 {
        let _ = throttle.from_address(IpAddr::V4(n.into())).await;
        let _ = throttle.on_account(&n.to_string()).await.let_in();
    }
    let most = usize::try_from(COUNTERS).unwrap();
    assert!(throttle.0.addresses.own.len() <= most);
    assert!(throttle.0.accounts.own.len() <= most);
    let newcomers = stream::iter((0..1000_u32).map(|n| IpAddr::V4((0xc000_0000 + n).into())));
    let welcome = newcomers.filter(|newcomer| {
        let (throttle, newcomer) = (throttle.clone(), *newcomer);
        async move { throttle.from_address(newcomer).await.let_in().is_ok() }
    });
    assert!(welcome.count().await > 500);
}

#[test]
fn hubs_with_one_key_count_on_the_same_counters() {
    let (one, _) = throttle(1);
    let (same, _) = throttle(1);
    assert_eq!(one.counter("account", "a"), same.counter("account", "a"));
    let clock = FakeRelativeClock::default();
    let key = SecretKey("another".to_owned());
    let rates = Rates {
        logins: NonZeroU32::MIN,
        creations: NonZeroU32::MIN,
    };
    let other = Throttle::with_clock(rates, key, None, &clock);
    let names = (0..10).map(|n| n.to_string());
    let alike = names.filter(|n| one.counter("account", n) == other.counter("account", n));
    assert!(alike.count() < 3);
}

#[tokio::test]
async fn what_is_left_is_told() {
    let (throttle, clock) = throttle(20);
    let user = "66f0c2a1b4d5e6f708192a3d".parse().unwrap();
    let first = throttle.by_user(user).await;
    assert_eq!((first.kind, first.per_minute.get()), (Kind::User, 20));
    assert_eq!((first.remaining, first.reset_s), (Some(19), 3));
    for _ in 0..18 {
        throttle.by_user(user).await.let_in().unwrap();
    }
    let last = throttle.by_user(user).await;
    assert_eq!((last.remaining, last.reset_s), (Some(0), 60));
    let refused = throttle.by_user(user).await;
    assert_eq!((refused.remaining, refused.reset_s), (None, 3));
    clock.advance(Duration::from_secs(30));
    let later = throttle.by_user(user).await;
    assert_eq!((later.remaining, later.reset_s), (Some(9), 33));
}
