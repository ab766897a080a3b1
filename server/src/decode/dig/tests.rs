//! Tests on texts that dig 9.18 printed, and on damage to them.

use proptest::prelude::*;

use super::{banner, *};

const SEVERAL: &str = include_str!("../samples/dig-several.txt");
const AXFR: &str = include_str!("../samples/dig-axfr.txt");
const AXFR_REFUSED: &str = include_str!("../samples/dig-axfr-refused.txt");
const TXT: &str = include_str!("../samples/dig-txt.txt");
const NO_SOCKET: &str = include_str!("../samples/dig-no-socket.txt");
const REFUSED: &str = include_str!("../samples/dig-refused.txt");
const USAGE: &str = include_str!("../samples/dig-usage.txt");

fn queries(text: &str) -> Vec<Query<'_>> {
    let parsed = parse(text, 1_000, 1_000);
    assert_eq!(parsed.omitted, 0);
    parsed.queries
}

/// Question, status and error of each query.
fn outcomes(text: &str) -> Vec<String> {
    let outcome = |query: &Query<'_>| {
        let name = query.name.as_deref().unwrap_or("-");
        let record_type = query.record_type.as_deref().unwrap_or("-");
        let (status, error) = (query.status.unwrap_or("-"), query.error.unwrap_or("-"));
        format!("{name} {record_type} {status} {error}")
    };
    queries(text).iter().map(outcome).collect()
}

#[test]
fn several_questions_in_one_text() {
    assert_eq!(
        outcomes(SEVERAL),
        [
            "a.example. MX NOERROR -",
            "nx.example. AAAA NXDOMAIN -",
            "silent.example A - timed out",
            "1.2.0.192.in-addr.arpa. PTR NOERROR -",
        ]
    );
    let queries = queries(SEVERAL);
    let mx = Answer {
        name: "a.example.",
        ttl: Some(300),
        class: "IN",
        record_type: "MX",
        data: "10 mx1.a.example.",
    };
    assert_eq!(queries[0].answers, [mx]);
    assert_eq!(queries[0].time_ms, Some(0));
    assert!(
        queries[1].answers.is_empty(),
        "the authority section is no answer"
    );
    for query in queries {
        assert_eq!(query.server.as_deref(), Some("192.0.2.53#53"));
    }
}

#[test]
fn text_data_is_kept_as_a_zone_file_has_it() {
    assert_eq!(queries(TXT)[0].answers[0].data, r#""v=x; \"q\" \\ y""#);
}

#[test]
fn a_zone_transfer_has_no_header() {
    assert_eq!(outcomes(AXFR), ["a.example. AXFR NOERROR -"]);
    let transfer = &queries(AXFR)[0];
    assert_eq!((transfer.answers.len(), transfer.time_ms), (4, Some(4)));
    assert_eq!(
        outcomes(AXFR_REFUSED),
        ["refused.example AXFR - transfer failed"]
    );
}

#[test]
fn nobody_there_is_an_outcome() {
    let expected = [
        "a.example A - connection refused",
        "b.example TXT - connection refused",
    ];
    assert_eq!(outcomes(REFUSED), expected);
    let older = ";; connection timed out; no servers could be reached\n";
    assert_eq!(outcomes(older), ["- - - timed out"]);
    let bare = ";; no servers could be reached\n";
    assert_eq!(outcomes(bare), ["- - - no servers could be reached"]);
}

#[test]
fn tries_without_a_socket_are_one_outcome() {
    assert_eq!(outcomes(NO_SOCKET), ["a.example - - address not available"]);
    assert_eq!(
        queries(NO_SOCKET)[0].server.as_deref(),
        Some("192.0.2.53#53")
    );
}

#[test]
fn a_try_that_failed_before_the_response_is_forgotten() {
    let retried = format!(";; communications error to 192.0.2.53#53: timed out\n{TXT}");
    assert_eq!(outcomes(&retried), ["a.example. TXT NOERROR -"]);
}

#[test]
fn warnings_and_usage_texts_say_nothing() {
    assert_eq!(outcomes(USAGE), [""; 0]);
    assert_eq!(outcomes(""), [""; 0]);
    let warned = TXT.replace(
        ";; QUESTION",
        ";; WARNING: recursion requested but not available\n\n;; QUESTION",
    );
    assert_eq!(outcomes(&warned), ["a.example. TXT NOERROR -"]);
    assert_eq!(
        outcomes("dig: couldn't get address for 'ns.example': not found\n"),
        [""; 0]
    );
}

#[test]
fn answers_alone_are_read_too() {
    let bare = "a.example.\t300 IN A 192.0.2.10\na.example. 300 IN A 192.0.2.11\nnot a record\n";
    assert_eq!(queries(bare)[0].answers.len(), 2);
}

#[test]
fn questions_are_found_among_dig_arguments() {
    let asked = |arguments| {
        let questions = banner::questions(arguments, 10).into_iter();
        questions
            .map(|(name, record_type)| format!("{name} {record_type}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        asked("@192.0.2.53 -p 53 -b 192.0.2.7 -4 -q a.example -t mx -q . -t ns -x 192.0.2.1"),
        ["a.example MX", ". NS", "1.2.0.192.in-addr.arpa PTR"]
    );
    assert_eq!(
        asked("+tries=1 -p53 a.example MX b.example"),
        ["a.example MX", "b.example A"]
    );
    assert_eq!(asked("-t mx -q a -q b"), ["a MX", "b MX"]);
    let nibbles = format!("1.{}8.b.d.0.1.0.0.2.ip6.arpa PTR", "0.".repeat(23));
    assert_eq!(asked("-x 2001:db8::1"), [nibbles]);
    assert_eq!(asked("-q"), [""; 0]);
}

#[test]
fn what_is_too_much_is_counted() {
    let parsed = parse(SEVERAL, 3, 0);
    assert_eq!((parsed.queries.len(), parsed.omitted), (3, 1));
    assert_eq!(
        (parsed.queries[0].answers.len(), parsed.queries[0].omitted),
        (0, 1)
    );
    let failures = "; Transfer failed.\n".repeat(100_000);
    assert_eq!(parse(&failures, 1_000, 1_000).omitted, 99_000);
}

/// Lines of the samples in any order, whole or cut.
fn shuffled() -> impl Strategy<Value = String> {
    let texts = [SEVERAL, AXFR, AXFR_REFUSED, TXT, NO_SOCKET, REFUSED, USAGE];
    let lines: Vec<&str> = texts.iter().flat_map(|text| text.lines()).collect();
    let line = (
        prop::sample::select(lines),
        any::<prop::sample::Index>(),
        0_u8..4,
    );
    let line = line.prop_map(|(line, end, cut)| {
        let end = if cut == 0 {
            end.index(line.len() + 1)
        } else {
            line.len()
        };
        line[..end].to_owned()
    });
    prop::collection::vec(line, 0..60).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn any_text_can_be_read(text in "(\\PC|\n|;|\t| ){0,300}") {
        parse(&text, 10, 10);
        banner::questions(&text, 10);
    }

    #[test]
    fn any_order_of_lines_can_be_read(text in shuffled()) {
        let parsed = parse(&text, 4, 3);
        prop_assert!(parsed.queries.len() <= 4);
        prop_assert!(parsed.queries.iter().all(|query| query.answers.len() <= 3));
    }
}
