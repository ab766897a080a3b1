//! What a fleet refuses to do, and tokens for it.

use tests::{Simulated, Trial, process::program, trials};
use tokio::process::Command;

use super::Site;

pub(super) fn trials() -> Vec<Trial> {
    trials![
        wrong_arguments_do_nothing,
        a_hub_that_is_away_is_no_success,
        too_few_files_are_told,
        a_token_of_nobody_is_no_success,
    ]
}

const AWAY: &str = "http://127.0.0.1:9";

async fn wrong_arguments_do_nothing() {
    for (url, tokens, arguments, why) in [
        ("http://192.0.2.1", &["t"][..], &[][..], "--any-hub"),
        ("ftp://127.0.0.1", &["t"], &[], "must begin with"),
        (AWAY, &[], &[], "no token"),
        (AWAY, &["two words"], &[], "line 1"),
        (AWAY, &["t"], &["--probes", "2"], "not enough for 2"),
        (AWAY, &["t"], &["--old", "2"], "from 0 to 1"),
        (AWAY, &["t"], &["--liars", "1", "--lies", "none"], "forged"),
        (AWAY, &["t"], &["--sources", "here"], "addresses"),
        (AWAY, &["t"], &["--sources", "::1"], "can reach"),
        (AWAY, &["t"], &["--for", "0"], "seconds"),
        (AWAY, &["t"], &["--churn=-1"], "--churn"),
        (AWAY, &["t"], &["--results", "real", "--old", "1"], "--old"),
        (
            AWAY,
            &["t"],
            &["--results", "real", "--pace", "flat-out"],
            "--pace",
        ),
    ] {
        let told = Simulated::start(url, tokens, arguments).ended().await;
        assert_eq!(told.code, 2, "{arguments:?} {}", told.log);
        assert!(told.log.contains(why), "{arguments:?} {}", told.log);
        assert!(told.summary.is_null(), "{:#}", told.summary);
        // What is wrong with a token is not told by showing it.
        assert!(!told.log.contains("two words"), "{}", told.log);
    }
}

async fn a_hub_that_is_away_is_no_success() {
    let fleet = Simulated::start(AWAY, &["a", "b"], &["--for", "1.5"]);
    let told = fleet.ended().await;
    assert_eq!((told.code, &told.summary["ok"]), (1, &false.into()));
    assert_eq!(told.number("/connections/never_ready"), 2.0);
    assert!(told.number("/errors/no_connection/count") >= 2.0);
    assert!(told.log.contains("connected 0/2"), "{}", told.log);
}

async fn too_few_files_are_told() {
    let mut command = Command::new("sh");
    let limited = format!(
        "ulimit -n 100; exec {} \"$@\"",
        program("pladmed-probe").display()
    );
    command.args(["-c", &limited, "sh"]);
    let tokens = ["t"; 50];
    let told = Simulated::start_by(command, AWAY, &tokens, &[])
        .ended()
        .await;
    assert_eq!(told.code, 1, "{}", told.log);
    assert!(told.log.contains("room for 36"), "{}", told.log);
}

async fn a_token_of_nobody_is_no_success() {
    let site = Site::new(1).await;
    let own = site.probes[0].token.as_str();
    let told = Simulated::start(&site.hub.url(), &[own, "nonsense"], &["--for", "2"]);
    let told = told.ended().await;
    assert_eq!((told.code, &told.summary["ok"]), (1, &false.into()));
    assert_eq!(told.number("/errors/unauthorized/count"), 1.0);
    assert_eq!(told.number("/connections/never_ready"), 1.0);
    assert_eq!(told.number("/connections/peak"), 1.0);
}
