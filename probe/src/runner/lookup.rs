//! Dns without dig, by a resolver library. Its document is `{"type":"dns","queries":[…]}`, one query per target.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::ResponseCode,
        rr::{Name, Record, RecordType as Rtype},
    },
    system_conf::read_system_conf,
};
use probe_protocol::{
    Target,
    spec::{DnsParams, IpVersion, RecordType},
};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Failure, Output, dig::type_word, process::LONGEST};

/// dig's patience: seconds a try, and tries.
const TRY: Duration = Duration::from_secs(5);
const TRIES: usize = 3;

const DNS_PORT: u16 = 53;

/// Why this lookup cannot honour the parameters, if so.
///
/// # Errors
/// [`Failure::Unfit`] naming the parameter.
pub fn suits(params: &DnsParams) -> Result<(), Failure> {
    match params.record_type {
        Some(RecordType::Axfr) => Err(Failure::Unfit(
            "type: this probe has no dig and cannot ask for axfr".to_owned(),
        )),
        _ => Ok(()),
    }
}

/// Asks for all targets, one after the other, as dig does.
///
/// # Errors
/// [`Failure`] when there is no name server to ask.
pub async fn run(params: &DnsParams, targets: &[Target]) -> Result<Output, Failure> {
    suits(params)?;
    let servers = servers(params)?;
    let first = servers.first().map(|server| {
        SocketAddr::new(
            server.ip,
            server.connections.first().map_or(DNS_PORT, |c| c.port),
        )
    });
    let resolver = resolver(servers)?;
    let deadline = Instant::now() + LONGEST;
    let mut queries = Vec::with_capacity(targets.len());
    for target in targets {
        queries.push(query(&resolver, params, target, first, deadline).await?);
    }
    Ok(Output::json(&json!({"type": "dns", "queries": queries})))
}

fn unfit(error: impl std::fmt::Display) -> Failure {
    Failure::Unfit(error.to_string())
}

fn servers(params: &DnsParams) -> Result<Vec<NameServerConfig>, Failure> {
    let addresses = match params.server {
        Some(server) => vec![server],
        None => {
            let (config, _) = read_system_conf()
                .map_err(|e| unfit(format!("cannot read the system's resolvers: {e}")))?;
            config.name_servers().iter().map(|s| s.ip).collect()
        }
    };
    let speaks = |address: &IpAddr| match params.ip_version {
        Some(IpVersion::V4) => address.is_ipv4(),
        Some(IpVersion::V6) => address.is_ipv6(),
        None => true,
    };
    let connect = |mut connection: ConnectionConfig| {
        connection.port = params.port.map_or(DNS_PORT, |port| {
            u16::try_from(port.get()).unwrap_or(DNS_PORT) // a port always fits
        });
        connection.bind_addr = params.source_address.map(|ip| SocketAddr::new(ip, 0));
        connection
    };
    let servers: Vec<_> = addresses
        .into_iter()
        .filter(speaks)
        .map(|ip| {
            let both = vec![
                connect(ConnectionConfig::udp()),
                connect(ConnectionConfig::tcp()),
            ];
            NameServerConfig::new(ip, true, both)
        })
        .collect();
    if servers.is_empty() {
        return Err(unfit("ip_version: no name server of this version to ask"));
    }
    Ok(servers)
}

fn resolver(servers: Vec<NameServerConfig>) -> Result<TokioResolver, Failure> {
    let config = ResolverConfig::from_name_servers(servers);
    let mut options = ResolverOpts::default();
    options.timeout = TRY;
    options.attempts = TRIES - 1; // beyond the first
    options.cache_size = 0; // a measurement asks, it does not remember
    options.use_hosts_file = ResolveHosts::Never;
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        .with_options(options)
        .build()
        .map_err(unfit)
}

async fn query(
    resolver: &TokioResolver,
    params: &DnsParams,
    target: &Target,
    server: Option<SocketAddr>,
    deadline: Instant,
) -> Result<Value, Failure> {
    let (mut name, default) = match target {
        Target::Address(address) => (Name::from(*address), RecordType::Ptr),
        Target::Name(name) => (
            Name::from_ascii(name.as_str()).map_err(unfit)?,
            RecordType::A,
        ),
    };
    name.set_fqdn(true); // no search list
    let record_type = params.record_type.unwrap_or(default);
    let rtype: Rtype = type_word(record_type)
        .to_ascii_uppercase()
        .parse()
        .map_err(unfit)?;
    let question = json!({"name": name.to_ascii(), "type": rtype.to_string()});
    let began = Instant::now();
    let left = deadline.saturating_duration_since(began);
    let answer = timeout(left, resolver.lookup(name, rtype))
        .await
        .unwrap_or(Err(NetError::Timeout));
    let (status, answers, error) = match answer {
        Ok(lookup) => (
            status_word(ResponseCode::NoError),
            lookup.answers().iter().map(answer_of).collect(),
            None,
        ),
        Err(error) => (status_of(&error), Vec::new(), unexpected(&error)),
    };
    let took = (began.elapsed().as_secs_f64() * 1000.0).round();
    let mut query = json!({"question": question, "server": server, "status": status,
        "answers": answers, "time_ms": took as u64});
    if let Some(error) = error {
        query["error"] = json!(error);
    }
    Ok(query)
}

fn answer_of(record: &Record) -> Value {
    json!({"name": record.name.to_ascii(), "ttl": record.ttl, "class": record.dns_class.to_string(),
        "type": record.record_type().to_string(), "data": record.data.to_string()})
}

fn status_of(error: &NetError) -> String {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => status_word(none.response_code),
        NetError::Dns(DnsError::ResponseCode(code)) => status_word(*code),
        NetError::Timeout => "TIMEOUT".to_owned(),
        _ => "ERROR".to_owned(),
    }
}

/// What is to be said beyond the status.
fn unexpected(error: &NetError) -> Option<String> {
    let expected = matches!(
        error,
        NetError::Dns(DnsError::NoRecordsFound(_) | DnsError::ResponseCode(_))
    );
    (!expected).then(|| error.to_string())
}

/// The word that dig prints for a response code.
fn status_word(code: ResponseCode) -> String {
    match code {
        ResponseCode::NoError => "NOERROR".to_owned(),
        ResponseCode::FormErr => "FORMERR".to_owned(),
        ResponseCode::ServFail => "SERVFAIL".to_owned(),
        ResponseCode::NXDomain => "NXDOMAIN".to_owned(),
        ResponseCode::NotImp => "NOTIMP".to_owned(),
        ResponseCode::Refused => "REFUSED".to_owned(),
        other => format!("RCODE{}", u16::from(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::tests::{NameServer, dns_params};

    #[tokio::test]
    async fn answers_and_refusals_are_told_apart() {
        let server = NameServer::start().await;
        let params = dns_params(json!({"server": "127.0.0.1", "port": server.port}));
        let targets = ["a.example", "nx.example", "192.0.2.1"].map(|t| t.parse().unwrap());
        let output = run(&params, &targets).await.unwrap();
        let document: Value = serde_json::from_slice(&output.content).unwrap();
        assert_eq!(document["type"], "dns");
        let [a, nx, reverse] = [0, 1, 2].map(|index| &document["queries"][index]);
        assert_eq!(a["question"], json!({"name": "a.example.", "type": "A"}));
        assert_eq!(a["status"], "NOERROR");
        let answer = json!({"name": "a.example.", "ttl": 60, "class": "IN", "type": "A", "data": "192.0.2.99"});
        assert_eq!(a["answers"], json!([answer]));
        assert_eq!(
            (&nx["status"], &nx["answers"]),
            (&json!("NXDOMAIN"), &json!([]))
        );
        assert_eq!(reverse["question"]["name"], "1.2.0.192.in-addr.arpa.");
        assert_eq!(reverse["question"]["type"], "PTR");
    }

    #[test]
    fn axfr_is_named_as_unsuitable() {
        let refusal = suits(&dns_params(json!({"type": "axfr"}))).unwrap_err();
        assert!(refusal.to_string().starts_with("type"), "{refusal}");
    }
}
