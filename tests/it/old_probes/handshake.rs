//! How an agent gets in: its token in the query, its credits in headers, the first frames. Whatever is wrong is refused
//! before the upgrade, for such an agent tries again after that and after nothing else.

use std::time::{Duration, Instant};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tests::{
    Knock, OldHeard, OldProbe, OldSocket, Trial, old_probe::PATH, orders, probe::Refused, trials,
    wait::within,
};

use super::{Site, accept};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        both_spellings_of_the_headers_are_taken,
        a_bad_token_is_refused,
        a_wrong_request_is_refused,
        any_origin_is_taken,
        the_session_opens_as_the_library_wants_it,
        silence_instead_of_a_connect_ends_the_session,
        a_token_of_the_replaced_system_is_good,
        a_token_stays_out_of_the_log,
    ]
}

/// The hub waits ten seconds for `40`.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// The status that an upgrade is answered with.
async fn status(site: &Site, knock: &Knock) -> u16 {
    match OldSocket::open(&site.hub.url(), knock).await {
        Ok(_) => 101,
        Err(Refused::Status(status, _)) => status,
        Err(Refused::Away(why)) => panic!("{why}"),
    }
}

fn knock(site: &Site) -> Knock {
    Knock::new(&site.probe.token, 121, 0)
}

async fn both_spellings_of_the_headers_are_taken() {
    let site = Site::open().await;
    for (total, in_use) in [
        ("total_credits", "in_use_credits"),
        ("Total-Credits", "In-Use-Credits"),
        ("TOTAL_CREDITS", "in-use-credits"),
    ] {
        let knock = knock(&site).saying(&[(total, "200"), (in_use, "50")]);
        let _probe = OldProbe::connect_as(&site.hub, &knock).await;
        site.shows("connected", true).await;
        let shown = site.shown().await;
        assert_eq!(shown["availability"], 0.75, "{shown}");
        let agent = &shown["agent"];
        assert_eq!(
            (
                &agent["name"],
                &agent["total_credits"],
                &agent["capabilities"]
            ),
            (
                &json!("socket.io"),
                &json!(200),
                &json!(["ping", "traceroute", "dns"])
            )
        );
    }
    site.shows("connected", false).await;
}

async fn a_bad_token_is_refused() {
    let site = Site::open().await;
    let with = |token: &str| Knock::new(token, 121, 0);
    let user = site.ana.api.token().expect("a token");
    let mut changed = site.probe.token.clone();
    // Somewhere in the signature.
    let at = changed.len() - 10;
    let other = if &changed[at..=at] == "A" { "B" } else { "A" };
    changed.replace_range(at..=at, other);
    for (what, token) in [
        ("none", ""),
        ("no token", "x"),
        ("a user's", user),
        ("changed", &changed),
        ("two dots", ".."),
    ] {
        assert_eq!(status(&site, &with(token)).await, 401, "{what}");
    }
    let none = knock(&site).asking("transport=websocket&EIO=4&t=1");
    assert_eq!(status(&site, &none).await, 401);
    assert_eq!(status(&site, &knock(&site)).await, 101);
    // Rotated: the old one is dead at once.
    let path = format!("/api/v1/probes/{}", site.probe.id);
    let rotated = site
        .ana
        .api
        .post(&format!("{path}/token"), &json!({}))
        .await
        .expect(201);
    assert_eq!(status(&site, &knock(&site)).await, 401);
    let new = rotated["token"].as_str().expect("a token");
    let mut probe = OldProbe::connect(&site.hub, new).await;
    let _ = site.ana.api.delete(&path).await.expect(204);
    // It comes back after any close, and is refused then.
    probe.closed().await;
    assert_eq!(status(&site, &with(new)).await, 401);
}

async fn a_wrong_request_is_refused() {
    let site = Site::open().await;
    let token = &site.probe.token;
    for query in [
        format!("token={token}&transport=websocket"),
        format!("token={token}&transport=websocket&EIO=3"),
        format!("token={token}&transport=websocket&EIO=5"),
        format!("token={token}&transport=polling&EIO=4"),
        format!("token={token}&EIO=4"),
        format!("token={token}&token={token}&transport=websocket&EIO=4"),
    ] {
        assert_eq!(
            status(&site, &knock(&site).asking(&query)).await,
            400,
            "{query}"
        );
    }
    let (total, in_use) = ("total_credits", "in_use_credits");
    let wrong: [&[(&'static str, &str)]; 7] = [
        &[],
        &[(total, "121")],
        &[(in_use, "0")],
        &[(total, ""), (in_use, "0")],
        &[(total, "many"), (in_use, "0")],
        &[(total, "121"), (in_use, "0x1")],
        &[(total, "121"), (in_use, "99999999999999999999999")],
    ];
    for headers in wrong {
        assert_eq!(
            status(&site, &knock(&site).saying(headers)).await,
            400,
            "{headers:?}"
        );
    }
    let plain = site
        .hub
        .api()
        .get(&format!("{PATH}?{}", knock(&site).query))
        .await;
    assert_eq!(plain.status, 400, "{}", plain.text());
    site.shows("connected", false).await;
}

async fn any_origin_is_taken() {
    let site = Site::open().await;
    for origin in [
        "http://127.0.0.1:5000",
        "https://elsewhere.example",
        "null",
        "nonsense",
    ] {
        let mut knock = knock(&site);
        knock.headers.push(("origin", origin.to_owned()));
        let _probe = OldProbe::connect_as(&site.hub, &knock).await;
    }
}

async fn the_session_opens_as_the_library_wants_it() {
    let site = Site::open().await;
    for connect in ["40", "40{}", r#"40{"token":"x"}"#] {
        let mut socket = OldSocket::open(&site.hub.url(), &knock(&site))
            .await
            .expect("a session");
        let open = socket.opened().await;
        let id = |value: &Value| {
            value["sid"]
                .as_str()
                .map(str::to_owned)
                .expect("an identifier")
        };
        assert_eq!(
            (
                &open["upgrades"],
                &open["pingTimeout"],
                &open["pingInterval"]
            ),
            (&json!([]), &json!(20_000), &json!(25_000))
        );
        assert!(open["maxPayload"].as_u64() >= Some(1_000_000), "{open}");
        assert!(socket.text(connect).await);
        let answer = socket.next_text().await;
        let joined: Value = answer
            .strip_prefix("40")
            .and_then(|sid| serde_json::from_str(sid).ok())
            .expect("40");
        assert!(
            !id(&open).is_empty() && id(&open) != id(&joined),
            "{open} {joined}"
        );
    }
}

async fn silence_instead_of_a_connect_ends_the_session() {
    let site = Site::open().await;
    let started = Instant::now();
    let mut socket = OldSocket::open(&site.hub.url(), &knock(&site))
        .await
        .expect("a session");
    socket.opened().await;
    let end = within(CONNECT_WITHIN * 2, "the end", socket.hear()).await;
    assert!(
        matches!(end, OldHeard::Broken | OldHeard::Closed(_)),
        "{end:?}"
    );
    assert!(
        started.elapsed() > CONNECT_WITHIN / 2,
        "{:?}",
        started.elapsed()
    );
    site.shows("connected", false).await;
}

/// A token as the replaced system signed it.
fn signed(key: &str, claims: &Value) -> String {
    let part = |value: &Value| BASE64.encode(value.to_string());
    let message = format!(
        "{}.{}",
        part(&json!({"typ": "JWT", "alg": "HS256"})),
        part(claims)
    );
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("any key will do");
    mac.update(message.as_bytes());
    format!("{message}.{}", BASE64.encode(mac.finalize().into_bytes()))
}

async fn a_token_of_the_replaced_system_is_good() {
    /// It was often this short.
    const KEY: &str = "dev";
    let site = Site::open_with(&[("SECRET_KEY", KEY)]).await;
    let location = json!({"longitude": -58.37, "latitude": -34.6, "altitude": 25});
    let claims =
        json!({"identifier": site.probe.id, "owner_id": site.ana.id, "location": location});
    let token = signed(KEY, &claims);
    let with = |token: &str| Knock::new(token, 121, 0);
    let mut probe = OldProbe::connect(&site.hub, &token).await;
    let operation = site.ana.launch(&orders::ping(&[site.probe.id])).await;
    accept(&mut probe, operation).await;
    site.reaches(operation, "accepted").await;
    // Signed with another key, of another probe, of a user.
    assert_eq!(status(&site, &with(&signed("dev2", &claims))).await, 401);
    let stranger = json!({"identifier": "0123456789abcdef01234567", "owner_id": site.ana.id});
    assert_eq!(status(&site, &with(&signed(KEY, &stranger))).await, 401);
    let user =
        json!({"_id": site.ana.id, "email": site.ana.email, "credits": 0, "is_superuser": true});
    assert_eq!(status(&site, &with(&signed(KEY, &user))).await, 401);
    // Good until it is rotated.
    let path = format!("/api/v1/probes/{}/token", site.probe.id);
    let _ = site.ana.api.post(&path, &json!({})).await.expect(201);
    probe.closed().await;
    assert_eq!(status(&site, &with(&token)).await, 401);
    site.close().await;
}

async fn a_token_stays_out_of_the_log() {
    let mut site = Site::open_with(&[("LOG_LEVEL", "trace")]).await;
    let _probe = site.connect().await;
    let refused = knock(&site).asking(&format!(
        "token={}&transport=websocket&EIO=3",
        site.probe.token
    ));
    assert_eq!(status(&site, &refused).await, 400);
    site.shows("connected", true).await;
    let log = site.hub.process().log();
    assert!(!log.contains(&site.probe.token), "the log shows a token");
}
