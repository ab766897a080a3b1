//! What is measured and compared.

use super::compare::{self, Compared};
use super::run;

/// Where the probes go.
pub(super) enum Place {
    /// This machine's loopback.
    Loopback,
    /// The chain of routers that all answer.
    Network,
    /// The chain whose first routers are silent.
    Silent,
}

/// One run of scamper.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) place: Place,
    /// Where a name server listens meanwhile; no other case may use the address.
    pub(super) resolver: Option<&'static str>,
    pub(super) options: &'static [&'static str],
    pub(super) commands: &'static [&'static str],
    /// What the tools must have printed, so that the case shows what it is for.
    pub(super) expected: &'static [&'static str],
}

const fn case(name: &'static str, place: Place, commands: &'static [&'static str]) -> Case {
    Case {
        name,
        place,
        resolver: None,
        options: &[],
        commands,
        expected: &[],
    }
}

impl Case {
    const fn with(self, options: &'static [&'static str]) -> Self {
        Self { options, ..self }
    }

    const fn expect(self, expected: &'static [&'static str]) -> Self {
        Self { expected, ..self }
    }

    const fn resolved(self, resolver: &'static str) -> Self {
        Self {
            resolver: Some(resolver),
            ..self
        }
    }
}

use Place::{Loopback, Network, Silent};

pub(super) const CASES: &[Case] = &[
    case(
        "ping_icmp",
        Loopback,
        &[
            "ping -c 3 -i 0.3 127.0.0.1",
            "ping -c 2 -i 0.3 ::1",
            "ping -c 3 -o 1 127.0.0.2",
        ],
    )
    .expect(&["wait_us", "\"src\":\"::1\""]),
    case(
        "ping_udp",
        Loopback,
        &[
            "ping -c 2 -i 0.3 -P udp 127.0.0.1",
            "ping -c 1 -P udp ::1",
            "ping -c 2 -P udp-dport -d 40000 -F 44444 127.0.0.1",
        ],
    )
    .expect(&["\"dport\":40000", "\"icmp_code\":3"]),
    case(
        "ping_tcp",
        Loopback,
        &[
            "ping -c 1 -P tcp-syn ::1",
            "ping -c 1 -P tcp-ack 127.0.0.1",
            "ping -c 1 -P tcp-syn -d 9 -A 77 127.0.0.1",
            "ping -c 1 -P tcp-synack ::1",
            "ping -c 1 -P tcp-rst -A 5 127.0.0.1",
        ],
    )
    .expect(&["\"tcp_seq\":77", "tcp_flags"]),
    case(
        "ping_record_route",
        Loopback,
        &["ping -c 2 -i 0.3 -R 127.0.0.1"],
    )
    .expect(&["\"RR\":["]),
    case(
        "ping_timestamps",
        Loopback,
        &[
            "ping -c 1 -T tsonly 127.0.0.1",
            "ping -c 1 -T tsandaddr 127.0.0.1",
            "ping -c 1 -T tsprespec=127.0.0.1,127.0.0.2 127.0.0.1",
            "ping -c 1 -P icmp-time 127.0.0.1",
        ],
    )
    .expect(&["\"tsonly\":[", "\"tsandaddr\":[", "probe_tsps", "icmp-time"]),
    case(
        "ping_payload",
        Loopback,
        &[
            "ping -c 1 -p abcd 127.0.0.1",
            "ping -c 1 -B 00112233aabb 127.0.0.1",
            "ping -c 1 -C 0x1234 127.0.0.1",
        ],
    )
    .expect(&[
        "\"pattern\":\"abcd\"",
        "\"payload\":\"00112233aabb\"",
        "\"icmp_csum\": 4660",
    ]),
    case(
        "ping_options",
        Loopback,
        &[
            "ping -c 1 -z 8 -m 9 -s 100 -W 2 -U 1234567 127.0.0.1",
            "ping -c 1 -O dl 127.0.0.1",
            "ping -c 1 -O spoof -S 127.0.0.9 127.0.0.1",
            "ping -c 1 -O spoof -O nosrc -S 127.0.0.9 127.0.0.1",
            "ping -c 1 -r 127.0.0.5 127.0.0.1",
        ],
    )
    .expect(&[
        "\"userid\":1234567",
        "\"spoof\",\"nosrc\"",
        "\"rtr\"",
        "\"loss\":1",
    ]),
    case(
        "ping_fragments",
        Loopback,
        &["ping -c 2 -O tbt -o 2 -M 1280 -s 1400 ::1"],
    )
    .expect(&["\"reply_ipid\""]),
    case(
        "names_and_ids",
        Loopback,
        &["ping -c 1 127.0.0.1", "trace -w 1 127.0.0.1"],
    )
    .with(&[
        "-M",
        "monitor.example",
        "-l",
        "a list",
        "-L",
        "5",
        "-C",
        "9",
    ])
    .expect(&[
        "\"list_name\":\"a list\"",
        "T\t127.0.0.1\t127.0.0.1\t5\t9\t",
    ]),
    case(
        "several_targets",
        Loopback,
        &[
            "ping -c 1 127.0.0.1",
            "ping -c 1 127.0.0.2",
            "ping -c 1 ::1",
            "trace -w 1 127.0.0.3",
            "trace -w 1 ::1",
        ],
    ),
    case(
        "types_kept_raw",
        Loopback,
        &[
            "dealias -m mercator 127.0.0.1",
            "ping -c 1 127.0.0.1",
            "tracelb 127.0.0.1",
            "tbit -t pmtud -u http://127.0.0.1/ 127.0.0.1",
        ],
    )
    .expect(&["\"dealias\"", "\"tracelb\"", "\"tbit\""]),
    case(
        "trace_loopback",
        Loopback,
        &[
            "trace -w 1 -P udp 127.0.0.1",
            "trace -w 1 -P icmp 127.0.0.1",
            "trace -w 1 -P icmp-paris -d 55 -s 99 ::1",
            "trace -w 1 -P tcp ::1",
            "trace -w 1 -P tcp-ack ::1",
            "trace -w 1 -p 00112233445566778899aabb -P udp 127.0.0.1",
        ],
    )
    .expect(&["\"icmp_sum\":55", "tcp_flags"]),
    case(
        "trace_names",
        Loopback,
        &["trace -w 1 -O ptr -c 95 -W 20 127.0.0.1"],
    )
    .with(&["-n", "127.83.71.9"])
    .resolved("127.83.71.9")
    .expect(&["\"name\":\"hop.example\""]),
    // The tools print nothing for it at all.
    case("host_kept_raw", Loopback, &["host -t PTR 127.0.0.1"])
        .with(&["-n", "127.83.71.10"])
        .resolved("127.83.71.10"),
    case(
        "trace_error_queue",
        Loopback,
        &["trace -w 1 -P udp ::1", "trace -P udp 127.0.0.1"],
    )
    .with(&["-O", "icmp-rxerr"])
    .expect(&["ERROR"]),
    case(
        "trace_methods",
        Network,
        &[
            "trace -w 1 -P udp 10.0.4.2",
            "trace -w 1 -P udp-paris 10.0.3.2",
            "trace -w 1 -P icmp 10.0.4.1",
            "trace -w 1 -P icmp-paris 10.0.2.2",
        ],
    )
    .expect(&["\"hop_count\":4"]),
    case(
        "trace_methods_v6",
        Network,
        &[
            "trace -w 1 -P udp fd00:4::2",
            "trace -w 1 -P icmp fd00:4::1",
            "trace -w 1 -P icmp-paris fd00:3::2",
        ],
    )
    .expect(&["\"hop_count\":4", "\"icmp_q_ipl\":60}"]),
    case(
        "trace_tcp",
        Network,
        &[
            "trace -w 1 -P tcp 10.0.4.2",
            "trace -w 1 -P tcp-ack 10.0.4.1",
        ],
    )
    .expect(&["tcp_flags"]),
    case("trace_pmtud", Network, &["trace -w 1 -M 10.0.4.2"]),
    case(
        "trace_ends",
        Network,
        &[
            "trace -w 1 10.0.98.9",
            "trace -w 1 10.0.97.9",
            "trace -w 1 -g 2 10.0.99.9",
            "trace -w 1 10.0.96.9",
            "trace -w 1 -l 3 10.0.96.8",
            "trace -w 1 -m 2 10.0.4.2",
        ],
    )
    .expect(&[
        "UNREACH",
        "GAPLIMIT",
        "LOOP",
        "HOPLIMIT",
        "\tL\t2\t",
        "\tU\t13\t",
    ]),
    case(
        "trace_doubletree",
        Network,
        &[
            "trace -w 1 -f 3 -Z stops 10.0.4.2",
            "trace -w 1 -f 2 -z 10.0.3.2 -Z stops 10.0.4.1",
            "trace -w 1 -f 3 -O dtree-noback -z 10.0.3.2 10.0.4.2",
        ],
    )
    .expect(&["GSS", "\"firsthop\":2", "\t?\t0\t"]),
    case(
        "trace_options",
        Network,
        &[
            "trace -w 1 -N 3 -g 5 10.0.4.2",
            "trace -w 1 -c 95 10.0.4.1",
            "trace -w 1 -Q -q 3 10.0.3.2",
            "trace -w 1 -T 10.0.3.1",
            "trace -W 2 -w 2 -t 8 -U 77 -m 10 10.0.2.2",
            "trace -w 1 -r 10.0.1.2 10.0.2.1",
        ],
    )
    .expect(&["\"userid\":77", "\"tos\":8", "10.0.1.2,"]),
    case(
        "trace_last_ditch",
        Silent,
        &["trace -g 2 -G 2 -w 1 -q 1 10.0.4.2"],
    )
    .expect(&["GAPLIMIT"]),
    case(
        "trace_through_silence",
        Silent,
        &["trace -w 1 -q 1 10.0.4.2"],
    )
    .expect(&["\tI\tq\tq\t10.0.3.2"]),
    case(
        "ping_network",
        Network,
        &[
            "ping -c 2 -i 0.3 -R 10.0.4.2",
            "ping -c 1 -T tsonly 10.0.4.2",
            "ping -c 1 -T tsandaddr 10.0.4.2",
            "ping -c 1 -m 2 10.0.4.2",
            "ping -c 1 -m 2 fd00:4::2",
            "ping -c 1 10.0.98.2",
            "ping -c 2 -i 0.3 10.0.99.2",
            "ping -c 1 -r 10.0.1.2 10.0.4.2",
            "ping -c 1 -s 1400 10.0.4.2",
        ],
    )
    .expect(&["\"RR\":[", "\"icmp_type\":11", "\"loss\":1"]),
];

type Check = fn() -> Result<(), String>;

pub(super) const FILES: &[(&str, Check)] = &[
    ("wartscat", wartscat),
    ("plain_concatenation", plain_concatenation),
    ("header_comment", header_comment),
];

/// Two files that both begin with list 1 and cycle 1.
fn two_files(dir: &tempfile::TempDir) -> Result<[std::path::PathBuf; 2], String> {
    let files = ["one", "two"].map(|name| dir.path().join(name));
    for (file, list) in files.iter().zip(["first", "second"]) {
        let commands = ["ping -c 1 127.0.0.1", "trace -w 1 127.0.0.2"];
        run::scamper(file, None, &["-l", list], &commands)?;
    }
    Ok(files)
}

fn wartscat() -> Result<(), String> {
    let dir = run::dir()?;
    let [one, two] = two_files(&dir)?;
    let joined = dir.path().join("joined");
    let paths = [&joined, &one, &two].map(|path| path.to_str().unwrap_or_default());
    run::output("sc_wartscat", &["-o", paths[0], paths[1], paths[2]])?;
    four_measurements(&compare::file(&joined)?)
}

/// The tools stop at the second file, so they get the files one by one.
fn plain_concatenation() -> Result<(), String> {
    let dir = run::dir()?;
    let [one, two] = two_files(&dir)?;
    let joined = [compare::read(&one)?, compare::read(&two)?].concat();
    let (one, two) = (compare::tools(&one)?, compare::tools(&two)?);
    let (json, dump) = ([one.0, two.0].concat(), [one.1, two.1].concat());
    four_measurements(&compare::bytes(&joined, &json, &dump)?)
}

fn four_measurements(compared: &Compared) -> Result<(), String> {
    match (compared.objects, compared.measurements) {
        (8, 4) => Ok(()),
        _ => Err(format!("not two pings and two traces: {compared:?}")),
    }
}

/// Readers skip the comment by its `#`, and the first line after it is a trace.
fn header_comment() -> Result<(), String> {
    let dir = run::dir()?;
    let [one, _] = two_files(&dir)?;
    let (_, theirs) = compare::tools(&one)?;
    let ours = pladmed::warts::decode(&compare::read(&one)?, &pladmed::warts::Limits::default());
    for dump in [theirs, ours.to_dump()] {
        let mut lines = dump.lines().skip_while(|line| line.starts_with('#'));
        let first = lines.next().unwrap_or_default();
        if !dump.starts_with('#') || !first.starts_with("T\t") || lines.next().is_some() {
            return Err(format!("not a comment and one trace: {dump}"));
        }
    }
    Ok(())
}
