//! Dns by dig(1): one process asks all questions of a run, its text goes up compressed.

use std::{io::Write, path::Path, time::Duration};

use flate2::{Compression, write::GzEncoder};
use probe_protocol::{
    ContentFormat, Target,
    spec::{DnsParams, IpVersion, RecordType},
};

use super::{
    Failure, Output,
    process::{self, LONGEST},
};

/// Longest one question takes with dig's defaults: three servers, three tries, five seconds each.
const QUESTION: Duration = Duration::from_secs(45);

/// Time for dig to start, beyond its questions.
const MARGIN: Duration = Duration::from_secs(10);

/// dig ended with answers to all questions, whatever they say.
const ANSWERED: i32 = 0;
/// dig ended without an answer to some question; its text says so, which is a measurement too.
const NO_REPLY: i32 = 9;

/// Asks.
///
/// # Errors
/// [`Failure`] when dig did not get as far as asking.
pub async fn run(
    dig: &Path,
    params: &DnsParams,
    targets: &[Target],
    work: &Path,
) -> Result<Output, Failure> {
    let args = args(params, targets);
    let questions = u32::try_from(targets.len()).unwrap_or(u32::MAX);
    let deadline = QUESTION.saturating_mul(questions).saturating_add(MARGIN);
    let ended = process::run(dig, &args, work, deadline.min(LONGEST)).await?;
    let asked = matches!(ended.code, Some(ANSWERED | NO_REPLY));
    if asked && !ended.stdout.is_empty() {
        let content = gzip(&ended.stdout).map_err(|cause| Failure::System {
            what: "cannot compress",
            cause,
        })?;
        return Ok(Output::new(ContentFormat::Gzip, content));
    }
    Err(Failure::Exit {
        program: "dig",
        status: ended.status,
        command: args.join(" "),
        said: ended.stderr,
    })
}

fn gzip(text: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text)?;
    encoder.finish()
}

/// Options for all questions first, then the questions, each with its own type. A [`Target`] never begins with `-`,
/// `+` or `@`, so none can be taken for an option.
pub(super) fn args(params: &DnsParams, targets: &[Target]) -> Vec<String> {
    let mut args = Vec::new();
    if let Some(server) = params.server {
        args.push(format!("@{server}"));
    }
    if let Some(port) = params.port {
        args.extend(["-p".to_owned(), port.to_string()]);
    }
    if let Some(source) = params.source_address {
        args.extend(["-b".to_owned(), source.to_string()]);
    }
    match params.ip_version {
        Some(IpVersion::V4) => args.push("-4".to_owned()),
        Some(IpVersion::V6) => args.push("-6".to_owned()),
        None => {}
    }
    for target in targets {
        let flag = match target {
            Target::Address(_) => "-x",
            Target::Name(_) => "-q",
        };
        args.extend([flag.to_owned(), target.to_string()]);
        if let Some(record_type) = params.record_type {
            args.extend(["-t".to_owned(), type_word(record_type).to_owned()]);
        }
    }
    args
}

/// The word for a record type, as dig and everybody else writes it.
#[must_use]
pub const fn type_word(record_type: RecordType) -> &'static str {
    match record_type {
        RecordType::A => "a",
        RecordType::Aaaa => "aaaa",
        RecordType::Any => "any",
        RecordType::Axfr => "axfr",
        RecordType::Caa => "caa",
        RecordType::Cname => "cname",
        RecordType::Dnskey => "dnskey",
        RecordType::Ds => "ds",
        RecordType::Hinfo => "hinfo",
        RecordType::Https => "https",
        RecordType::Mx => "mx",
        RecordType::Ns => "ns",
        RecordType::Ptr => "ptr",
        RecordType::Soa => "soa",
        RecordType::Srv => "srv",
        RecordType::Txt => "txt",
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use serde_json::json;

    use super::*;
    use crate::runner::tests::{NameServer, dns_params};

    fn targets(texts: &[&str]) -> Vec<Target> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_arguments_are_exactly_these() {
        let all = dns_params(json!({"type": "mx", "server": "2001:db8::53", "port": 5353,
            "source_address": "192.0.2.7", "ip_version": "4"}));
        assert_eq!(
            args(&all, &targets(&["a.example", ".", "192.0.2.1"])).join(" "),
            "@2001:db8::53 -p 5353 -b 192.0.2.7 -4 -q a.example -t mx -q . -t mx -x 192.0.2.1 -t mx"
        );
        let plain = dns_params(json!({}));
        let args = args(&plain, &targets(&["a.example", "2001:db8::1"]));
        assert_eq!(args, ["-q", "a.example", "-x", "2001:db8::1"]);
    }

    async fn ask(params: &DnsParams, names: &[&str]) -> String {
        let work = tempfile::tempdir().unwrap();
        let output = run(Path::new("dig"), params, &targets(names), work.path())
            .await
            .unwrap();
        assert_eq!(output.format, ContentFormat::Gzip);
        let mut text = String::new();
        flate2::read::GzDecoder::new(&output.content[..])
            .read_to_string(&mut text)
            .unwrap();
        text
    }

    #[tokio::test]
    async fn the_text_of_dig_comes_back() {
        let found = crate::check::look(Path::new("scamper"), Path::new("dig")).await;
        if let Err(why) = found.dig {
            eprintln!("skipped: {why}");
            return;
        }
        let server = NameServer::start().await;
        let params = dns_params(json!({"server": "127.0.0.1", "port": server.port}));
        let text = ask(&params, &["a.example", "nx.example"]).await;
        assert!(text.contains("192.0.2.99"), "{text}");
        assert!(text.contains("status: NXDOMAIN"), "{text}");
        // Nobody there is an answer too.
        drop(server);
        let text = ask(
            &dns_params(json!({"server": "127.0.0.1", "port": 1})),
            &["a.example"],
        )
        .await;
        assert!(text.contains("no servers could be reached"), "{text}");
    }
}
