//! What holds for all old paths: their spellings, methods, tokens and the form of answers.

use reqwest::Method;
use serde_json::{Value, json};
use tests::{
    Hub, OldApi, Trial,
    api::must,
    hub::{ADMIN, PASSWORD},
    old_api::{NO_AUTHORIZATION, exchange},
    trials,
};

use super::bench::{Bench, ROUTES, id_of};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        every_success_has_the_old_form,
        the_token_s_header_has_many_spellings,
        what_is_no_token_is_401_everywhere,
        paths_take_a_prefix_and_two_slashes,
        unknown_paths_are_404,
        wrong_methods_are_405,
        get_also_answers_head,
        options_is_200_on_every_path,
        what_is_not_asked_for_is_ignored,
        everything_is_deleted_only_where_tests_run,
    ]
}

async fn every_success_has_the_old_form() {
    let bench = Bench::new().await;
    let old = &bench.old;
    let anyone = OldApi::new(&bench.hub);
    let credentials = json!({"email": "ben@example.org", "password": PASSWORD});
    let place = json!({"location": {"longitude": -58.5, "latitude": -34.25}});
    let grant = json!({"id": bench.user.id, "credits": 5});
    let admin = OldApi::of(&bench.hub, &bench.hub.admin().await);
    let made = bench
        .post("ping", &bench.order("ping"))
        .await
        .expect_old(201);
    let operation = format!("/operation?id={}", id_of(&made));
    let _ = anyone.post("/register", &credentials).await.expect_old(201);
    let _ = anyone.post("/login", &credentials).await.expect_old(200);
    let _ = admin.post("/credits", &grant).await.expect_old(200);
    let _ = old.post("/probes", &place).await.expect_old(201);
    for kind in ["traceroute", "dns"] {
        let _ = bench.post(kind, &bench.order(kind)).await.expect_old(201);
    }
    for path in [
        "/users/me",
        "/probes",
        "/probes/me",
        "/operations",
        "/operations/me",
        &operation,
    ] {
        let _ = old.get(path).await.expect_old(200);
    }
}

async fn the_token_s_header_has_many_spellings() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 0).await;
    let token = ana.api.token().expect("a token");
    let ask = async |header: &str| {
        let request =
            format!("GET /users/me HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n{header}\r\n\r\n");
        let answer = exchange(&hub, request).await;
        answer
            .lines()
            .next()
            .and_then(|line| line.split(' ').nth(1))
            .map(str::to_owned)
            .expect("a status")
    };
    for name in [
        "access_token",
        "Access_Token",
        "ACCESS_TOKEN",
        "access-token",
        "Access-Token",
        "ACCESS-TOKEN",
    ] {
        assert_eq!(ask(&format!("{name}: {token}")).await, "200", "{name}");
    }
    for header in [
        format!("Cookie: access_token={token}"),
        format!("token: {token}"),
        format!("access_token: Bearer {token}"),
        "access_token:".to_owned(),
    ] {
        assert_eq!(ask(&header).await, "401", "{header}");
    }
}

async fn what_is_no_token_is_401_everywhere() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 0).await;
    let probe = ana.probe("p").await;
    let anyone = OldApi::new(&hub);
    let mut cut = ana.api.token().expect("a token").to_owned();
    cut.truncate(cut.len() - 10);
    let speakers = [
        anyone.clone(),
        anyone.with_token("nonsense"),
        anyone.with_token(&cut),
        anyone.with_token(&probe.token),
    ];
    for (method, path, is_protected) in ROUTES {
        for (number, speaker) in speakers.iter().enumerate() {
            // The token is looked at before the body.
            let request = speaker.request(method.clone(), path).body("{");
            let answer = must(request).await;
            if *is_protected {
                answer.expect_error(401, NO_AUTHORIZATION);
            } else {
                assert_ne!(answer.status, 401, "{method} {path}, speaker {number}");
            }
        }
    }
    // Only a superuser grants credits.
    let grant = json!({"id": ana.id, "credits": 5});
    OldApi::of(&hub, &ana)
        .post("/credits", &grant)
        .await
        .expect_error(401, NO_AUTHORIZATION);
    assert_eq!(ana.credits().await, 0);
}

async fn paths_take_a_prefix_and_two_slashes() {
    let bench = Bench::new().await;
    let made = bench
        .post("ping", &bench.order("ping"))
        .await
        .expect_old(201);
    let credentials = json!({"email": ADMIN, "password": PASSWORD});
    for before in ["", "/", "//", "/api"] {
        let old = &bench.old;
        let get = async |path: String| old.get(&path).await.expect_old(200);
        let _ = old
            .post(&format!("{before}/login"), &credentials)
            .await
            .expect_old(200);
        let _ = bench
            .old
            .post(&format!("{before}/ping"), &bench.order("ping"))
            .await
            .expect_old(201);
        assert_eq!(
            get(format!("{before}/users/me")).await["_id"],
            json!(bench.user.id),
            "{before}"
        );
        let shown = get(format!("{before}/operation?id={}", id_of(&made))).await;
        assert_eq!(shown["_id"], made["_id"], "{before}");
        assert_eq!(get(format!("{before}/probes")).await[0]["connected"], true);
    }
}

async fn unknown_paths_are_404() {
    let hub = Hub::start().await;
    let ana = OldApi::of(&hub, &hub.user("ana", 0).await);
    for path in [
        "/users/me/",
        "/probes/",
        "/login/",
        "/users",
        "/probes/you",
        "/operation/me",
        "/api",
        "/api/users/me/",
        "/api/nothing",
    ] {
        let answer = ana.get(path).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.text());
        assert!(answer.json().is_object(), "{path}");
    }
}

async fn wrong_methods_are_405() {
    let hub = Hub::start().await;
    let ana = OldApi::of(&hub, &hub.user("ana", 0).await);
    let methods = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
    ];
    for (_, path, _) in ROUTES {
        for method in &methods {
            let is_route = |(of, at, _): &(Method, &str, bool)| of == method && at == path;
            if ROUTES.iter().any(is_route) {
                continue;
            }
            for before in ["", "/api"] {
                let answer = must(ana.request(method.clone(), &format!("{before}{path}"))).await;
                assert_eq!(answer.status, 405, "{method} {before}{path}");
                assert!(answer.json().is_object(), "{method} {before}{path}");
                assert!(answer.header("allow").is_some(), "{method} {before}{path}");
            }
        }
    }
}

async fn get_also_answers_head() {
    let bench = Bench::new().await;
    let made = bench
        .post("ping", &bench.order("ping"))
        .await
        .expect_old(201);
    let operation = format!("/operation?id={}", id_of(&made));
    for path in [
        "/users/me",
        "/probes",
        "/probes/me",
        "/operations/me",
        "/operations",
        &operation,
    ] {
        let answer = must(bench.old.request(Method::HEAD, path)).await;
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{path}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    let anyone = OldApi::new(&bench.hub);
    let answer = must(anyone.request(Method::HEAD, "/users/me")).await;
    assert_eq!((answer.status, answer.body.len()), (401, 0));
    let answer = must(anyone.request(Method::HEAD, "/login")).await;
    assert_eq!(answer.status, 405);
}

async fn options_is_200_on_every_path() {
    let hub = Hub::start().await;
    let anyone = OldApi::new(&hub);
    let paths = ROUTES.iter().map(|(_, path, _)| *path);
    for path in paths.chain(["/delete_all"]) {
        for before in ["", "/", "/api"] {
            let path = format!("{before}{path}");
            let answer = must(anyone.request(Method::OPTIONS, &path)).await;
            assert_eq!(answer.status, 200, "{path}");
        }
    }
    for path in ["/nothing", "/users/me/", "/api/nothing"] {
        let answer = must(anyone.request(Method::OPTIONS, path)).await;
        assert_eq!(answer.status, 404, "{path}");
    }
}

async fn what_is_not_asked_for_is_ignored() {
    let bench = Bench::new().await;
    let anyone = OldApi::new(&bench.hub);
    let more = |mut body: Value| {
        body["is_superuser"] = json!(true);
        body["credits"] = json!(7);
        body["more"] = json!({"a": [null]});
        body
    };
    let credentials = more(json!({"email": "ben@example.org", "password": PASSWORD}));
    let ben = anyone.post("/register", &credentials).await.expect_old(201);
    assert_eq!(
        (&ben["credits"], &ben["is_superuser"]),
        (&json!(0), &json!(false))
    );
    let _ = anyone.post("/login", &credentials).await.expect_old(200);
    let place = json!({"longitude": 1, "latitude": 2, "altitude": "3"});
    let place = more(json!({"location": place}));
    let _ = bench.old.post("/probes", &place).await.expect_old(201);
    let mut order = more(bench.order("ping"));
    order["operation"] = json!("traceroute");
    let made = bench.post("ping", &order).await.expect_old(201);
    assert!(
        made.get("operation").is_none_or(|kind| kind == "ping"),
        "{made}"
    );
    for path in [
        "/probes?page=2",
        "/users/me?x",
        "/operations/me?limit=-1&%ff",
    ] {
        let _ = bench.old.get(path).await.expect_old(200);
    }
    let shown = format!("/operation?x=1&id={}&y=2", id_of(&made));
    assert_eq!(
        bench.old.get(&shown).await.expect_old(200)["_id"],
        made["_id"]
    );
}

async fn everything_is_deleted_only_where_tests_run() {
    let key = ["0f"; 32].concat();
    for environment in ["staging", "production"] {
        let settings = [("ENVIRONMENT", environment), ("SECRET_KEY", key.as_str())];
        let hub = Hub::start_with(&settings).await;
        let ana = hub.user("ana", 5).await;
        let old = OldApi::of(&hub, &ana);
        for path in ["/delete_all", "/api/delete_all", "//delete_all"] {
            let answer = old.delete(path).await;
            assert_eq!((answer.status, answer.text().as_str()), (404, ""), "{path}");
        }
        assert_eq!(ana.credits().await, 5);
    }
    for environment in ["development", "test"] {
        let mut hub = Hub::start_with(&[("ENVIRONMENT", environment)]).await;
        let ana = hub.user("ana", 5).await;
        let old = OldApi::of(&hub, &ana);
        ana.probe("p").await;
        let answer = OldApi::new(&hub).delete("/delete_all").await;
        assert_eq!((answer.status, answer.body.len()), (204, 0));
        old.get("/users/me")
            .await
            .expect_error(401, NO_AUTHORIZATION);
        assert_eq!(old.get("/probes").await.expect_old(200), json!([]));
        old.log_in(ADMIN, PASSWORD).await.expect_refusal(404);
        // What is left works, also after a start on it.
        assert_eq!(hub.terminate().await, 0);
        hub.restart().await;
        let _ = old
            .register("ana@example.org", PASSWORD)
            .await
            .expect_old(201);
        let twice = old.register("ana@example.org", PASSWORD).await;
        twice.expect_error(400, "That email is already registered");
    }
}
