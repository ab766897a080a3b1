//! TLS of the hub's own: for requests and for probes of both kinds, with a certificate that changes under way.

use std::{fs, path::Path, sync::Arc, time::Duration};

use futures::{SinkExt as _, StreamExt as _};
use reqwest::tls::TlsInfo;
use services::{Certificates, certificates};
use tempfile::TempDir;
use tests::{
    Agent, Api, Hub, Simulated, TestUser, Trial, Trust, eventually,
    hub::PASSWORD,
    orders,
    wait::{SOON, within},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
    tungstenite::{Message, client::IntoClientRequest as _},
};

pub(crate) fn trials() -> Vec<Trial> {
    tests::trials![
        |it| it.unless(certificates::missing()).unless(Agent::missing());
        users_and_probes_come_by_tls_across_a_renewal,
        a_simulated_fleet_comes_by_tls,
        what_is_no_pair_changes_nothing,
        who_does_not_shake_hands_is_closed,
        a_hub_without_a_good_pair_does_not_start,
    ]
}

/// Longest until a change of the files is noticed, on a machine that is busy.
const NOTICED_WITHIN: Duration = Duration::from_secs(20);
/// Longest that the hub waits for a handshake, and some more.
const CLOSED_WITHIN: Duration = Duration::from_secs(40);

/// A hub that speaks TLS.
struct Secure {
    hub: Hub,
    files: Certificates,
    url: String,
    _folder: TempDir,
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

impl Secure {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let files = Certificates::make(folder.path());
        let settings = [
            ("TLS_CERT", text(&files.certificate)),
            ("TLS_KEY", text(&files.key)),
        ];
        let hub = Hub::start_with(&settings).await;
        let url = format!("https://{}", hub.address());
        Self {
            hub,
            files,
            url,
            _folder: folder,
        }
    }

    /// Trust in its CA.
    fn trust(&self) -> Trust {
        Trust::in_certificate(&fs::read_to_string(&self.files.ca).expect("the CA's certificate"))
    }

    fn api(&self) -> Api {
        Api::trusting(&self.url, &self.trust())
    }

    /// The certificate that a new connection gets.
    async fn shown(&self) -> Vec<u8> {
        let client = reqwest::Client::builder().tls_backend_preconfigured(self.trust().config());
        let client = client.no_proxy().tls_info(true);
        let client = client.build().expect("a client");
        let answer = client.get(format!("{}/healthz", self.url)).send();
        let answer = within(SOON, "an answer", answer).await.expect("an answer");
        let info = answer.extensions().get::<TlsInfo>();
        let shown = info.and_then(TlsInfo::peer_certificate);
        shown.expect("a certificate").to_vec()
    }

    async fn shows_another_than(&self, before: &[u8]) -> Vec<u8> {
        eventually(NOTICED_WITHIN, "another certificate", || async {
            Some(self.shown().await).filter(|shown| shown != before)
        })
        .await
    }

    /// Waits until it has said so often that it keeps the certificate.
    async fn kept(&mut self, times: usize) {
        let process = self.hub.process();
        eventually(NOTICED_WITHIN, "a warning", || async {
            let log = process.log();
            let warnings = log.matches("the certificate stays the one");
            (warnings.count() >= times).then_some(())
        })
        .await;
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A connection that has nothing but shaken hands.
async fn handshaken(secure: &Secure) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(secure.hub.address()).await;
    let name = "localhost".try_into().expect("a name");
    let connector = TlsConnector::from(Arc::new(secure.trust().config()));
    let connecting = connector.connect(name, stream.expect("a connection"));
    within(SOON, "a handshake", connecting)
        .await
        .expect("a handshake")
}

/// The websocket of an agent of the replaced system, upgraded.
async fn old_socket(secure: &Secure, token: &str) -> Socket {
    let url = secure.url.replacen("https", "wss", 1);
    let url = format!("{url}/socket.io/?transport=websocket&EIO=4&token={token}");
    let mut request = url.into_client_request().expect("a request");
    for (name, value) in [("total_credits", "100"), ("in_use_credits", "0")] {
        let headers = request.headers_mut();
        headers.insert(name, value.parse().expect("a header"));
    }
    let connector = secure.trust().connector();
    let opening = connect_async_tls_with_config(request, None, true, Some(connector));
    within(SOON, "a websocket", opening)
        .await
        .expect("a websocket")
        .0
}

async fn next_text(socket: &mut Socket) -> String {
    loop {
        let message = within(SOON, "a message", socket.next()).await;
        match message.expect("a connection").expect("a message") {
            Message::Text(text) => return text.to_string(),
            // Whether somebody is there.
            Message::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn users_and_probes_come_by_tls_across_a_renewal() {
    let secure = Secure::start().await;
    let api = secure.api();
    let ana = TestUser::register(&api, "ana@example.org", PASSWORD).await;
    let admin = TestUser::log_in(&api, tests::hub::ADMIN, PASSWORD).await;
    admin.grant(&ana, 1000).await;
    let (new, old) = (ana.probe("new").await, ana.probe("old").await);
    let trusts = [("SSL_CERT_FILE", text(&secure.files.ca))];
    let _agent = Agent::start_with(&secure.url, &new.token, &trusts);
    let path = format!("/api/v1/probes/{}", new.id);
    eventually(SOON, "a connected probe", || async {
        let probe = api
            .with_token(ana.api.token()?)
            .get(&path)
            .await
            .expect(200);
        (probe["connected"] == true).then_some(())
    })
    .await;
    let mut socket = old_socket(&secure, &old.token).await;
    let opened = next_text(&mut socket).await;
    assert!(opened.starts_with("0{"), "{opened}");
    // A new certificate is shown to those who come, and nobody who is there notices.
    let before = secure.shown().await;
    secure.files.renew();
    let after = secure.shows_another_than(&before).await;
    assert_ne!(before, after);
    socket
        .send(Message::Text("40".into()))
        .await
        .expect("a message");
    let joined = next_text(&mut socket).await;
    assert!(joined.starts_with("40{"), "{joined}");
    let operation = ana.launch(&orders::ping(&[new.id])).await;
    eventually(NOTICED_WITHIN, "a probe that answers", || async {
        let states = ana.states(operation).await;
        let asked = ["pending", "delivered"];
        (!asked.contains(&states[0].as_str())).then_some(())
    })
    .await;
    // Browsers are told to come this way only.
    let answer = api.get("/healthz").await;
    let only = answer.header("strict-transport-security");
    assert_eq!(only, Some("max-age=31536000"));
    // Plain HTTP gets no answer.
    let plain = secure.hub.api().request(reqwest::Method::GET, "/healthz");
    assert!(tests::api::send(plain).await.is_err());
}

async fn a_simulated_fleet_comes_by_tls() {
    let secure = Secure::start().await;
    let ana = TestUser::register(&secure.api(), "ana@example.org", PASSWORD).await;
    let tokens = [ana.probe("new").await.token, ana.probe("old").await.token];
    let tokens = tokens.each_ref().map(String::as_str);
    let fleet = |trusts: bool| {
        let mut command = tokio::process::Command::new(tests::process::program("pladmed-probe"));
        if trusts {
            command.env("SSL_CERT_FILE", text(&secure.files.ca));
        }
        Simulated::start_by(
            command,
            &secure.url,
            &tokens,
            &["--old", "0.5", "--for", "2"],
        )
    };
    let told = fleet(true).ended().await.well();
    assert_eq!(told.number("/connections/peak"), 2.0);
    let told = fleet(false).ended().await;
    assert_eq!(told.code, 1);
    let why = &told.summary["errors"]["no_connection"]["last"];
    assert!(why.to_string().contains("certificate"), "{why}");
}

async fn what_is_no_pair_changes_nothing() {
    let mut secure = Secure::start().await;
    let first = secure.shown().await;
    let key = fs::read(&secure.files.key).expect("a key");
    // Half of a change: the old certificate with another key.
    let elsewhere = tempfile::tempdir().expect("a folder");
    let other = Certificates::make(elsewhere.path());
    fs::copy(&other.key, &secure.files.key).expect("a copy");
    secure.kept(1).await;
    assert_eq!(secure.shown().await, first);
    fs::write(&secure.files.key, "no key").expect("a file");
    secure.kept(2).await;
    fs::remove_file(&secure.files.certificate).expect("a file");
    secure.kept(3).await;
    assert_eq!(secure.shown().await, first);
    let log = secure.hub.process().log();
    for why in [
        "do not go together",
        "TLS_KEY: cannot use",
        "TLS_CERT: cannot use",
    ] {
        assert!(log.contains(why), "{why}");
    }
    assert!(!log.contains(String::from_utf8_lossy(&key).lines().nth(1).expect("a key")));
    // What is whole again is taken.
    secure.files.renew();
    let last = secure.shows_another_than(&first).await;
    assert_ne!(last, first);
}

async fn who_does_not_shake_hands_is_closed() {
    let secure = Secure::start().await;
    let mut silent = TcpStream::connect(secure.hub.address())
        .await
        .expect("a connection");
    let mut slow = TcpStream::connect(secure.hub.address())
        .await
        .expect("a connection");
    // The beginning of a handshake.
    slow.write_all(&[22, 3, 1, 2, 0, 1]).await.expect("a write");
    for stream in [&mut silent, &mut slow] {
        let mut said = [0; 64];
        let ended = stream.read(&mut said);
        let ended = within(CLOSED_WITHIN, "the end", ended).await;
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    }
    // Who shakes hands and then says nothing has no more time.
    let mut silent = handshaken(&secure).await;
    let mut said = [0; 64];
    let ended = within(CLOSED_WITHIN, "the end", silent.read(&mut said)).await;
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    // Whoever speaks something else is closed at once.
    let mut plain = TcpStream::connect(secure.hub.address())
        .await
        .expect("a connection");
    let request = b"GET /healthz HTTP/1.1\r\nhost: hub\r\n\r\n";
    plain.write_all(request).await.expect("a write");
    let mut said = Vec::new();
    let _ = within(SOON, "the end", plain.read_to_end(&mut said)).await;
    assert!(!said.starts_with(b"HTTP"), "{said:?}");
    assert!(!secure.shown().await.is_empty());
}

async fn a_hub_without_a_good_pair_does_not_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = Certificates::make(folder.path());
    let (certificate, key) = (text(&files.certificate), text(&files.key));
    let nothing = folder.path().join("nothing");
    for (certificate, key, says) in [
        (text(&nothing), key, "TLS_CERT: cannot use"),
        (certificate, text(&nothing), "TLS_KEY: cannot use"),
        (key, key, "TLS_CERT: cannot use"),
        (certificate, certificate, "TLS_KEY: cannot use"),
        (
            text(&files.ca),
            key,
            "TLS_CERT, TLS_KEY: do not go together",
        ),
        (certificate, "", "TLS_KEY: must be set with TLS_CERT"),
    ] {
        let (code, log) = Hub::refused(&[("TLS_CERT", certificate), ("TLS_KEY", key)]).await;
        assert_eq!(code, 2, "{log}");
        assert!(log.contains(says), "{says}: {log}");
    }
}
