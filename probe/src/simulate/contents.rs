//! Contents of scripted results: what scamper wrote once, and a text of dig of the usual size. Always the same, so that
//! whoever looks at sizes and times looks at the hub.

use std::{fmt::Write as _, io::Write as _};

use flate2::{Compression, write::GzEncoder};
use probe_protocol::{ContentFormat, Kind};

/// What scamper wrote of a ping that was answered.
const PING: &[u8] = include_bytes!("../../../server/src/decode/samples/ping.warts");
/// What scamper wrote of a traceroute that came to its end.
const TRACEROUTE: &[u8] = include_bytes!("../../../server/src/decode/samples/trace.warts");
/// What is no warts, whatever it is called.
const GARBLED: &[u8] = b"these are no warts, though they are called so";
/// Length of the text of dig, bytes.
const DNS_LENGTH: usize = 2000;

/// What a result holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Contents {
    /// The sample of this kind.
    Sample(Kind),
    /// What is not what it is called.
    Garbled,
    /// What was measured.
    Measured(ContentFormat, Vec<u8>),
}

/// The samples; kept once for all probes.
#[derive(Debug)]
pub(super) struct Samples {
    dns: Vec<u8>,
}

impl Samples {
    /// Makes them.
    pub(super) fn new() -> Self {
        Self {
            dns: gzip(dig().as_bytes()).unwrap_or_default(),
        }
    }

    /// The bytes, and what they are called.
    pub(super) fn bytes<'a>(&'a self, contents: &'a Contents) -> (ContentFormat, &'a [u8]) {
        match contents {
            Contents::Sample(Kind::Ping) => (ContentFormat::Warts, PING),
            Contents::Sample(Kind::Traceroute) => (ContentFormat::Warts, TRACEROUTE),
            Contents::Sample(Kind::Dns) => (ContentFormat::Gzip, &self.dns),
            Contents::Garbled => (ContentFormat::Warts, GARBLED),
            Contents::Measured(format, bytes) => (*format, bytes),
        }
    }
}

/// What dig prints of a name with many addresses.
fn dig() -> String {
    let head = "\n; <<>> DiG 9.18.49 <<>> @192.0.2.53 -q many.example.org -t a\n; (1 server found)\n\
        ;; global options: +cmd\n;; Got answer:\n";
    let tail = "\n;; Query time: 12 msec\n;; SERVER: 192.0.2.53#53(192.0.2.53) (UDP)\n\
        ;; WHEN: Tue Mar 10 12:00:00 UTC 2026\n;; MSG SIZE  rcvd: 1183\n\n";
    let mut answers = String::new();
    let mut count = 0;
    while head.len() + answers.len() + tail.len() < DNS_LENGTH - 180 {
        count += 1;
        // Addresses for documentation (RFC 5737), in an order that does not compress better than real ones.
        let host = count * 83 % 254 + 1;
        // Writing to a string never fails.
        let _ = writeln!(answers, "many.example.org.\t300\tIN\tA\t198.51.100.{host}");
    }
    format!(
        "{head};; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 47696\n\
        ;; flags: qr rd ra; QUERY: 1, ANSWER: {count}, AUTHORITY: 0, ADDITIONAL: 0\n\n\
        ;; QUESTION SECTION:\n;many.example.org.\t\tIN\tA\n\n;; ANSWER SECTION:\n{answers}{tail}"
    )
}

fn gzip(text: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::warts::{Glance, glance};

    #[test]
    fn samples_are_what_agents_send() {
        let samples = Samples::new();
        for kind in [Kind::Ping, Kind::Traceroute] {
            let contents = Contents::Sample(kind);
            let (format, bytes) = samples.bytes(&contents);
            assert_eq!(format, ContentFormat::Warts);
            assert_eq!(glance(bytes), [Glance::Measured], "{kind}");
        }
        assert_eq!(glance(samples.bytes(&Contents::Garbled).1), []);
        let text = dig();
        assert!(
            (DNS_LENGTH - 100..DNS_LENGTH + 100).contains(&text.len()),
            "{}",
            text.len()
        );
        let (format, bytes) = samples.bytes(&Contents::Sample(Kind::Dns));
        assert_eq!(format, ContentFormat::Gzip);
        assert!(!bytes.is_empty());
    }
}
