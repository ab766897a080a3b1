use proptest::prelude::*;

use super::*;

fn target(text: &str) -> Result<Target, TargetError> {
    text.parse()
}

/// What the text reads as, `name` or `address`, and how it is written.
fn read(text: &str) -> (&'static str, String) {
    match target(text).unwrap_or_else(|error| panic!("{text}: {error}")) {
        Target::Address(address) => ("address", address.to_string()),
        Target::Name(name) => ("name", name.as_str().to_owned()),
    }
}

#[test]
fn reads_addresses() {
    for (text, written) in [
        ("192.0.2.1", "192.0.2.1"),
        ("0.0.0.0", "0.0.0.0"),
        ("255.255.255.255", "255.255.255.255"),
        ("2001:DB8::0:1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("::", "::"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
        ("::ffff:c000:201", "::ffff:192.0.2.1"),
        ("64:ff9b::192.0.2.1", "64:ff9b::c000:201"),
    ] {
        assert_eq!(read(text), ("address", written.to_owned()));
    }
}

#[test]
fn reads_names() {
    for (text, written) in [
        ("example.org", "example.org"),
        ("EXAMPLE.Org.", "example.org."),
        (".", "."),
        ("com", "com"),
        ("_dmarc.example.org", "_dmarc.example.org"),
        ("4.3.2.1.in-addr.arpa", "4.3.2.1.in-addr.arpa"),
        ("1e100.net", "1e100.net"),
        ("0x7f.1.example", "0x7f.1.example"),
        ("a-.b--c.d", "a-.b--c.d"),
        ("0xyz", "0xyz"),
        ("xn--mnchen-3ya.de", "xn--mnchen-3ya.de"),
        ("münchen.de", "xn--mnchen-3ya.de"),
        ("MÜNCHEN.DE.", "xn--mnchen-3ya.de."),
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
        ("ｅｘａｍｐｌｅ．ｏｒｇ", "example.org"),
        ("ex\u{ad}ample.org", "example.org"),
    ] {
        assert_eq!(read(text), ("name", written.to_owned()));
    }
}

#[test]
fn refuses_other_spellings_of_ipv4() {
    for text in [
        "1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0177.0.0.1",
        "01.2.3.4",
        "1.2.3.04",
        "0x7f.0.0.1",
        "0x7f000001",
        "0X7F.1",
        "127.0.0.0x1",
        "0x",
        "1.2.3.4.",
        "1.2.3.4.5",
        "256.1.1.1",
        "1.2.3.256",
        "example.1",
        "a.0x1f",
        "00.00.00.00",
        // IDNA makes digits and dots of these.
        "１２７.0.0.1",
        "１２７．０．０．１",
        "127。0。0。1",
        "①②⑦.0.0.1",
        "０x7f.1",
        "𝟏𝟐𝟕.𝟎.𝟎.𝟏",
        "127.0.0.1。",
        "0\u{ad}177.0.0.1",
    ] {
        assert_eq!(target(text), Err(TargetError::OddIpv4), "{text}");
    }
}

/// Blanks, brackets, zones, what a shell or a URL reader would act on, and what IDNA makes these of.
const NEITHER: &[&str] = &[
    "..",
    "a..b",
    ".a",
    "a..",
    "-x",
    "a.-x",
    "--help",
    "a b",
    " a",
    "a ",
    "a\n",
    "a\tb",
    "a\0",
    "\0",
    "a\u{a0}b",
    "[1.2.3.4]",
    "[]",
    "[::1",
    "::1]",
    "[[::1]]",
    "[::1%eth0]",
    "fe80::1%eth0",
    "fe80::1%1",
    ":::",
    "1:2:3",
    "[example.org]",
    "a:80",
    "1.2.3.4:80",
    "1.2.3.4/24",
    "::/0",
    "http://a.b",
    "a/b",
    "a\\b",
    "a'b",
    "a\"b",
    "a`b`",
    "$(a)",
    "a;b",
    "a|b",
    "a&b",
    "a>b",
    "a<b",
    "a*b",
    "a?b",
    "a~b",
    "a!b",
    "a#b",
    "a%b",
    "a^b",
    "a=b",
    "a+b",
    "a@b",
    "a,b",
    "(a)",
    "{a}",
    "a\r\nb",
    "\u{ad}",
    "。。",
    "a。。b",
    "－x.org",
    "ａ／ｂ",
    "ａ\u{3000}b",
    "＄(a)",
    "℀.org",
    "a\u{202e}b",
    "＇a",
    "xn--\u{e9}.org",
    "\u{1f}é",
    "é é",
];

#[test]
fn refuses_what_is_neither() {
    assert_eq!(target(""), Err(TargetError::Empty));
    for text in NEITHER {
        assert_eq!(target(text), Err(TargetError::Grammar), "{text:?}");
    }
}

#[test]
fn holds_lengths() {
    let label = "a".repeat(63);
    let long = format!("{label}.{label}.{label}.{}", "b".repeat(61));
    assert_eq!(long.len(), 253);
    assert_eq!(read(&long), ("name", long.clone()));
    assert_eq!(read(&format!("{long}.")), ("name", format!("{long}.")));
    for text in [
        format!("{long}c"),
        format!("{label}a.org"),
        format!("a.{long}"),
        "a.".repeat(600),
        "é".repeat(600),
        "1".repeat(2_000),
    ] {
        assert_eq!(target(&text), Err(TargetError::TooLong), "{text}");
    }
    assert!(
        target(&format!("{}.org", "é".repeat(62))).is_err(),
        "longer than 63 in ASCII"
    );
}

#[test]
fn tells_hosts_from_other_names() {
    let host = |text: &str| text.parse::<Name>().unwrap().is_host();
    for text in [
        "example.org",
        "example.org.",
        "a-b.c",
        "com",
        "xn--mnchen-3ya.de",
    ] {
        assert!(host(text), "{text}");
    }
    for text in [".", "_dmarc.example.org", "a_b.c", "a-.org", "a.b-."] {
        assert!(!host(text), "{text}");
    }
}

#[test]
fn travels_as_a_string() {
    let targets: Vec<Target> =
        serde_json::from_str(r#"["[::1]","Example.ORG","192.0.2.1"]"#).unwrap();
    assert_eq!(
        serde_json::to_string(&targets).unwrap(),
        r#"["::1","example.org","192.0.2.1"]"#
    );
    for wrong in ["5", "null", r#""""#, r#""a b""#, r#"{"Name":"a"}"#] {
        assert!(serde_json::from_str::<Target>(wrong).is_err(), "{wrong}");
        assert!(serde_json::from_str::<Name>(wrong).is_err(), "{wrong}");
    }
    let name: Name = serde_json::from_str(r#""Example.ORG""#).unwrap();
    assert_eq!(serde_json::to_string(&name).unwrap(), r#""example.org""#);
}

/// What inet_aton(3) takes: one to four numbers, decimal, octal or hexadecimal, with dots between.
fn reads_as_number(text: &str) -> bool {
    let number = |part: &str| {
        let hex = part.strip_prefix("0x").or_else(|| part.strip_prefix("0X"));
        match hex {
            Some(hex) => hex.bytes().all(|c| c.is_ascii_hexdigit()),
            None => !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit()),
        }
    };
    text.trim_end_matches('.').split('.').all(number)
}

fn check(text: &str) -> Result<(), TestCaseError> {
    let Ok(target) = text.parse::<Target>() else {
        return Ok(());
    };
    let written = target.to_string();
    prop_assert_eq!(written.parse::<Target>(), Ok(target.clone()));
    if let Target::Name(name) = &target {
        let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"._-".contains(&c);
        prop_assert!(written.bytes().all(allowed), "{written}");
        prop_assert!(!written.starts_with('-') && (1..=254).contains(&written.len()));
        prop_assert!(!reads_as_number(&written), "{written}");
        prop_assert!(written.parse::<IpAddr>().is_err());
        prop_assert_eq!(name.as_str().parse::<Name>(), Ok(name.clone()));
    } else {
        prop_assert_eq!(written.parse::<IpAddr>().map(Target::Address), Ok(target));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn anything(text in any::<String>()) {
        check(&text)?;
    }

    #[test]
    fn names_and_the_like(text in "[-._a-zA-Z0-9x \\[\\]:%]{1,20}") {
        check(&text)?;
    }

    #[test]
    fn numbers_and_the_like(text in "[0-9x.１０．。①𝟏\u{ad}]{1,16}") {
        check(&text)?;
    }

    #[test]
    fn letters_of_the_world(text in "[\\pL\\pN\\pP\\pS.]{1,12}") {
        check(&text)?;
    }

    #[test]
    fn addresses(address in any::<IpAddr>()) {
        prop_assert_eq!(target(&address.to_string()), Ok(Target::Address(address)));
        if let IpAddr::V6(v6) = address {
            prop_assert_eq!(target(&format!("[{v6}]")), Ok(Target::Address(address)));
        }
    }
}
