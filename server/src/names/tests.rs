//! Names resolved by a real name server on loopback that the test writes itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use hickory_resolver::proto::{
    op::{Message, Metadata, ResponseCode},
    rr::{RData, Record},
};
use tokio::{net::UdpSocket, task::AbortHandle};

use super::*;

/// Longest that a test waits for answers of a server that answers at once.
const SOON: Duration = Duration::from_secs(10);
/// How long a test waits for a server that never answers.
const IN_VAIN: Duration = Duration::from_millis(300);
/// Seconds that answers may be kept.
const TTL: u32 = 60;

/// What the server does with a name: these addresses, or this code, or silence.
#[derive(Debug, Clone)]
enum Says {
    Addresses(Vec<IpAddr>),
    Code(ResponseCode),
    Nothing,
}

/// A name server over UDP; ends when dropped. Every name it was not told is unknown.
struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    task: AbortHandle,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn start(zone: impl IntoIterator<Item = (&'static str, Says)>) -> Self {
        let zone: BTreeMap<_, _> = zone.into_iter().collect();
        Self::answering(move |name| match zone.get(name) {
            Some(says) => says.clone(),
            None => Says::Code(ResponseCode::NXDomain),
        })
        .await
    }

    async fn answering(says: impl Fn(&str) -> Says + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let noted = asked.clone();
        let task = tokio::spawn(async move {
            let mut buffer = [0; 4096];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                let question = Message::from_vec(&buffer[..length]).unwrap();
                let name = question.queries[0].name().to_ascii();
                noted.lock().unwrap().push(name.clone());
                if let Some(answer) = answer(&question, says(&name)) {
                    socket.send_to(&answer, from).await.unwrap();
                }
            }
        });
        Self {
            address,
            asked,
            task: task.abort_handle(),
        }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn names(&self, policy: TargetPolicy) -> Names {
        Names::new(Some(self.address), policy).unwrap()
    }
}

fn answer(question: &Message, says: Says) -> Option<Vec<u8>> {
    let query = question.queries[0].clone();
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.metadata = Metadata::response_from_request(&question.metadata);
    match says {
        Says::Nothing => return None,
        Says::Code(code) => answer.metadata.response_code = code,
        Says::Addresses(addresses) => {
            let data = addresses.into_iter().map(RData::from);
            answer.answers = data
                .filter(|data| data.record_type() == query.query_type())
                .map(|data| Record::from_rdata(query.name().clone(), TTL, data))
                .collect();
        }
    }
    answer.add_query(query);
    Some(answer.to_vec().unwrap())
}

fn at(addresses: &[&str]) -> Says {
    Says::Addresses(addresses.iter().map(|text| text.parse().unwrap()).collect())
}

fn targets<T: AsRef<str>>(texts: &[T]) -> Vec<Target> {
    let parse = |text: &T| text.as_ref().parse().unwrap();
    texts.iter().map(parse).collect()
}

async fn look_up<T: AsRef<str>>(names: &Names, texts: &[T]) -> Result<Vec<String>, String> {
    let targets = targets(texts);
    let found = names.addresses_by(&targets, Instant::now() + SOON).await?;
    Ok(found.iter().map(Target::to_string).collect())
}

#[tokio::test]
async fn names_become_addresses_and_addresses_stay_each_in_its_place() {
    let server = Server::start([
        ("both.example.", at(&["2001:db8::7", "192.0.2.7"])),
        ("six.example.", at(&["2001:db8::8"])),
        ("two.example.", at(&["192.0.2.2", "192.0.2.1"])),
    ])
    .await;
    let names = server.names(TargetPolicy::Any);
    let texts = [
        "2001:db8::1",
        "six.example",
        "198.51.100.1",
        "two.example",
        "both.example.",
    ];
    let found = look_up(&names, &texts).await.unwrap();
    let expected = [
        "2001:db8::1",
        "2001:db8::8",
        "198.51.100.1",
        "192.0.2.2",
        "192.0.2.7",
    ];
    assert_eq!(found, expected);
    let asked: BTreeSet<String> = server.asked().into_iter().collect();
    // Nothing was appended to what the user wrote.
    let written = ["both.example.", "six.example.", "two.example."];
    assert_eq!(asked.iter().collect::<Vec<_>>(), written);
    assert_eq!(look_up(&names, &[] as &[&str]).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn only_addresses_that_the_policy_allows_are_taken() {
    let server = Server::start([
        ("second.example.", at(&["10.0.0.1", "8.8.8.8"])),
        ("six.example.", at(&["127.0.0.1", "::1", "2606:4700::1"])),
        (
            "mapped.example.",
            at(&["::ffff:10.0.0.1", "::ffff:8.8.4.4"]),
        ),
        ("trap.example.", at(&["169.254.169.254", "fd00::1"])),
    ])
    .await;
    let names = server.names(TargetPolicy::Public);
    let texts = ["second.example", "six.example", "mapped.example"];
    let found = look_up(&names, &texts).await.unwrap();
    assert_eq!(found, ["8.8.8.8", "2606:4700::1", "8.8.4.4"]);
    assert_eq!(
        look_up(&names, &["second.example", "trap.example"]).await,
        Err("trap.example: resolves only to addresses that may not be measured".into())
    );
    let names = server.names(TargetPolicy::Any);
    let found = look_up(&names, &["trap.example"]).await.unwrap();
    assert_eq!(found, ["169.254.169.254"]);
}

#[tokio::test]
async fn each_failure_is_told_with_its_name() {
    let server = Server::start([
        ("fine.example.", at(&["192.0.2.7"])),
        ("empty.example.", Says::Addresses(Vec::new())),
        ("broken.example.", Says::Code(ResponseCode::ServFail)),
    ])
    .await;
    let names = server.names(TargetPolicy::Any);
    for (name, why) in [
        ("nobody.example", "no address found"),
        ("empty.example", "no address found"),
        ("broken.example", "no answer from the name server"),
    ] {
        assert_eq!(
            look_up(&names, &["fine.example", name]).await,
            Err(format!("{name}: {why}"))
        );
    }
}

#[tokio::test]
async fn an_error_is_short_however_many_names_fail() {
    let server = Server::start([]).await;
    let label = "a".repeat(60);
    let texts: Vec<String> = (0..100)
        .map(|n| format!("{label}.{label}.{label}.{label}.x{n}"))
        .collect();
    let names = server.names(TargetPolicy::Any);
    let error = look_up(&names, &texts).await.unwrap_err();
    assert!(error.contains(&texts[2]) && !error.contains(&texts[3]));
    assert!(error.ends_with("; and 97 more"), "{error}");
    assert!(error.len() < 1000, "{}", error.len());
}

#[tokio::test]
async fn a_silent_server_costs_the_deadline_and_is_not_asked_for_all_at_once() {
    let server = Server::answering(|_| Says::Nothing).await;
    let names = server.names(TargetPolicy::Any);
    let texts: Vec<String> = (0..100).map(|n| format!("n{n}.example")).collect();
    let began = Instant::now();
    let deadline = began + IN_VAIN;
    let all = targets(&texts);
    let error = names.addresses_by(&all, deadline).await.unwrap_err();
    assert!(began.elapsed() >= IN_VAIN && began.elapsed() < TRY);
    assert!(error.starts_with("n0.example: no answer from the name server; n1"));
    assert!(error.ends_with("; and 97 more"), "{error}");
    let asked: BTreeSet<String> = server.asked().into_iter().collect();
    assert!((1..=AT_ONCE).contains(&asked.len()), "{}", asked.len());
}

/// An operation goes to many agents at once, and each of them wants its names.
#[tokio::test]
async fn many_who_want_the_same_names_leave_room_for_others() {
    let server = Server::answering(|name| match name {
        "fine.example." => at(&["192.0.2.7"]),
        _ => Says::Nothing,
    })
    .await;
    let names = server.names(TargetPolicy::Any);
    let texts: Vec<String> = (0..AT_ONCE).map(|n| format!("n{n}.example")).collect();
    let silent = Arc::new(targets(&texts));
    let many: Vec<_> = (0..AT_ONCE_IN_ALL)
        .map(|_| {
            let (names, silent) = (names.clone(), silent.clone());
            tokio::spawn(async move { names.addresses_by(&silent, Instant::now() + TRY).await })
        })
        .collect();
    // All of them have begun when all of the names were asked for.
    let deadline = Instant::now() + SOON;
    while server.asked().iter().collect::<BTreeSet<_>>().len() < AT_ONCE {
        assert!(Instant::now() < deadline, "{:?}", server.asked());
        tokio::task::yield_now().await;
    }
    let fine = targets(&["fine.example"]);
    let found = names.addresses_by(&fine, Instant::now() + TRY / 2).await;
    assert_eq!(found, Ok(targets(&["192.0.2.7"])));
    for one in many {
        one.abort();
        let _ = one.await;
    }
    assert!(names.under_way().is_empty());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_no_answer() {
    let free = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let names = Names::new(Some(address), TargetPolicy::Any).unwrap();
    let all = targets(&["192.0.2.1", "fine.example"]);
    assert_eq!(
        names.addresses_by(&all, Instant::now() + IN_VAIN).await,
        Err("fine.example: no answer from the name server".into())
    );
}

#[tokio::test]
async fn as_many_names_as_an_operation_may_have_are_looked_up() {
    let server = Server::answering(|_| at(&["192.0.2.7"])).await;
    let names = server.names(TargetPolicy::Any);
    let texts: Vec<String> = (0..100).map(|n| format!("n{n}.example")).collect();
    let found = look_up(&names, &texts).await.unwrap();
    assert_eq!(found, vec!["192.0.2.7"; 100]);
}

#[tokio::test]
async fn answers_are_kept() {
    let server = Server::start([("fine.example.", at(&["192.0.2.7"]))]).await;
    let names = server.names(TargetPolicy::Any);
    look_up(&names, &["fine.example"]).await.unwrap();
    let first = server.asked().len();
    for _ in 0..5 {
        look_up(&names.clone(), &["fine.example"]).await.unwrap();
    }
    // What was still under way for IPv6 when IPv4 was there may be asked for anew, IPv4 may not.
    assert!(server.asked().len() <= first + 1, "{:?}", server.asked());
}

#[tokio::test]
async fn the_hosts_file_comes_first() {
    let server = Server::start([("localhost.", at(&["192.0.2.7"]))]).await;
    let names = server.names(TargetPolicy::Any);
    let found = look_up(&names, &["localhost"]).await.unwrap();
    let address: IpAddr = found[0].parse().unwrap();
    assert!(address.is_loopback(), "{address}");
    assert_eq!(server.asked(), [""; 0]);
    let system = Names::new(None, TargetPolicy::Any).unwrap();
    assert_eq!(look_up(&system, &["localhost"]).await.unwrap(), found);
    let public = server.names(TargetPolicy::Public);
    assert_eq!(
        look_up(&public, &["localhost"]).await,
        Err("localhost: resolves only to addresses that may not be measured".into())
    );
}
