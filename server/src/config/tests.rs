//! What the settings read from variables, and what they refuse.

use super::*;

fn read(vars: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::from_vars(
        vars.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    )
}

#[test]
fn nothing_set_is_a_development_hub() {
    let config = read(&[]).unwrap();
    assert_eq!(
        (config.port, config.environment),
        (5000, Environment::Development)
    );
    assert_eq!(config.target_policy, TargetPolicy::Any);
    assert!(!config.legacy_user_tokens);
    assert_eq!(config.logins_per_minute.get(), 20);
    assert!(config.trusted_proxies.is_empty());
    assert!(config.public_operations);
    assert_eq!(config.stop_grace, Duration::from_secs(300));
    assert_eq!(config.resolve_targets, ResolveTargets::Probe);
    assert_eq!(config.name_server, None);
    assert_eq!(config.metrics_address, None);
    assert_eq!(config.diagnose_at, Some(NaiveTime::MIN));
    assert!(config.warnings().is_empty());
    // What is empty has its default, as in the example file.
    let empty: Vec<_> = VARIABLES.iter().map(|v| (v.name, "")).collect();
    assert_eq!(
        format!("{:?}", read(&empty).unwrap()),
        format!("{config:?}")
    );
}

#[test]
fn what_is_set_is_read() {
    let config = read(&[
        ("LEGACY_USER_TOKENS", "accept"),
        ("LOGINS_PER_MINUTE", "100000"),
        (
            "TRUSTED_PROXIES",
            "10.0.0.0/8, 192.0.2.1,,2001:db8::/32,::ffff:192.0.2.2 ,",
        ),
        ("PUBLIC_OPERATIONS", "false"),
        ("STOP_GRACE_SECONDS", "0"),
        ("RESOLVE_TARGETS", "hub"),
        ("NAME_SERVER", "[2001:db8::53]:5353"),
        ("METRICS_ADDRESS", "127.0.0.1:9464"),
    ])
    .unwrap();
    assert!(config.legacy_user_tokens);
    assert_eq!(config.logins_per_minute.get(), 100_000);
    let proxies: Vec<String> = config
        .trusted_proxies
        .iter()
        .map(IpNet::to_string)
        .collect();
    let expected = [
        "10.0.0.0/8",
        "192.0.2.1/32",
        "2001:db8::/32",
        "192.0.2.2/32",
    ];
    assert_eq!(proxies, expected);
    assert!(!config.public_operations);
    assert_eq!(config.stop_grace, Duration::ZERO);
    assert_eq!(config.resolve_targets, ResolveTargets::Hub);
    assert_eq!(config.name_server, "[2001:db8::53]:5353".parse().ok());
}

#[test]
fn limits_belong_to_what_is_allowed() {
    for (name, good, bad) in [
        ("LOGINS_PER_MINUTE", ["1", "100000"], ["0", "100001"]),
        ("STOP_GRACE_SECONDS", ["0", "86400"], ["-1", "86401"]),
        ("USER_TOKEN_HOURS", ["1", "8760"], ["0", "8761"]),
        ("STOP_SECONDS", ["1", "600"], ["0", "601"]),
    ] {
        for value in good {
            assert!(read(&[(name, value)]).is_ok(), "{name}={value}");
        }
        for value in bad {
            assert!(read(&[(name, value)]).is_err(), "{name}={value}");
        }
    }
}

#[test]
fn each_wrong_proxy_is_shown() {
    let wrong = "10.0.0.0/33,192.0.2.1,proxy.example,192.0.2.1:80,";
    let ConfigError(problems) = read(&[("TRUSTED_PROXIES", wrong)]).unwrap_err();
    let shown = ["10.0.0.0/33", "proxy.example", "192.0.2.1:80"];
    assert_eq!(problems.len(), shown.len(), "{problems:?}");
    for (problem, item) in problems.iter().zip(shown) {
        assert!(problem.starts_with("TRUSTED_PROXIES:") && problem.contains(item));
    }
}

#[test]
fn hosts_of_mongodb_are_some() {
    let hosts = |text| read(&[("DATABASE", "mongo"), ("MONGO_HOST", text)]);
    for none in [",", " , ,", " "] {
        let ConfigError(problems) = hosts(none).unwrap_err();
        assert_eq!(problems, ["MONGO_HOST: names no host"], "{none:?}");
    }
    let config = hosts(" a, ,b:27018,").unwrap();
    let Database::Mongo(settings) = config.database else {
        panic!("{:?}", config.database)
    };
    let MongoServer::Hosts { hosts, .. } = settings.server else {
        panic!("{:?}", settings.server)
    };
    assert_eq!(hosts, [("a".into(), 27017), ("b".into(), 27018)]);
}

#[test]
fn old_agents_get_addresses_where_it_matters() {
    let key = ("SECRET_KEY", "0123456789abcdef0123456789abcdef");
    for (environment, resolve_targets) in [
        ("development", ResolveTargets::Probe),
        ("test", ResolveTargets::Probe),
        ("staging", ResolveTargets::Hub),
        ("production", ResolveTargets::Hub),
    ] {
        let config = read(&[("ENVIRONMENT", environment), key]).unwrap();
        assert_eq!(config.resolve_targets, resolve_targets, "{environment}");
    }
    let chosen = [
        ("ENVIRONMENT", "production"),
        key,
        ("RESOLVE_TARGETS", "probe"),
    ];
    let config = read(&chosen).unwrap();
    assert_eq!(config.resolve_targets, ResolveTargets::Probe);
}

#[test]
fn every_problem_is_named() {
    let vars = [
        ("PORT", "x"),
        ("HOST", "here"),
        ("ENVIRONMENT", "prod"),
        ("DATABASE", "oracle"),
        ("TARGET_POLICY", "some"),
        ("USER_TOKEN_HOURS", "0"),
        ("LEGACY_USER_TOKENS", "yes"),
        ("LOGINS_PER_MINUTE", "many"),
        ("TRUSTED_PROXIES", "everyone"),
        ("PUBLIC_OPERATIONS", "1"),
        ("STOP_GRACE_SECONDS", "5m"),
        ("RESOLVE_TARGETS", "agent"),
        ("NAME_SERVER", "192.0.2.53"),
        ("STOP_SECONDS", "-1"),
        ("LOG_LEVEL", "loud=very"),
        ("LOG_FORMAT", "xml"),
    ];
    let ConfigError(problems) = read(&vars).unwrap_err();
    for (name, _) in vars {
        assert!(
            problems
                .iter()
                .any(|problem| problem.starts_with(&format!("{name}:"))),
            "{name}: {problems:?}"
        );
    }
    assert_eq!(problems.len(), vars.len(), "{problems:?}");
}

#[test]
fn production_wants_a_key_of_its_own() {
    let production = ("ENVIRONMENT", "production");
    let example = "replace-this-with-32-random-characters";
    for key in ["", "dev", "Dev", example] {
        let error = read(&[production, ("SECRET_KEY", key)]).unwrap_err();
        assert!(error.to_string().contains("SECRET_KEY"), "{key}");
        assert!(
            key.len() < 4 || !error.to_string().contains(key),
            "the key is shown"
        );
    }
    let config = read(&[production, ("SECRET_KEY", &"k9".repeat(16))]).unwrap();
    assert_eq!(config.target_policy, TargetPolicy::Public);
    assert!(!format!("{config:?}").contains("k9"), "the key is shown");
}

/// An installation that moves over must keep its key, or all its probes are locked out.
#[test]
fn a_short_key_is_taken_with_a_warning() {
    let with_key = |environment: &str, key: &str| {
        let vars = [("ENVIRONMENT", environment), ("SECRET_KEY", key)];
        read(&vars).unwrap().warnings()
    };
    for environment in ["staging", "production"] {
        for key in ["q7", "devx", &"k".repeat(31)] {
            let warnings = with_key(environment, key);
            assert!(
                matches!(&warnings[..], [one] if one.starts_with("SECRET_KEY:") && !one.contains(key)),
                "{key}: {warnings:?}"
            );
        }
        assert!(with_key(environment, &"k".repeat(32)).is_empty());
    }
    assert!(with_key("development", "dev").is_empty());
}

/// The comment that stands first in the file, then for each variable its help and its default.
#[test]
fn the_example_file_names_every_variable() {
    let example = include_str!("../../../.env_server.example");
    let (_, variables) = example.split_once("\n\n").unwrap();
    let expected: Vec<String> = VARIABLES
        .iter()
        .map(|v| format!("# {}\n{}={}\n", v.help, v.name, v.default))
        .collect();
    assert_eq!(variables, expected.join("\n"));
}

#[test]
fn the_page_for_operators_names_every_variable() {
    let page = include_str!("../../../docs/operating.md");
    let section = page.split_once("## Settings").unwrap().1;
    let section = section.split("\n## ").next().unwrap();
    let rows: Vec<&str> = section
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    let row = |v: &Variable| match v.default {
        "" => format!("| `{}` | | {} |", v.name, v.help),
        default => format!("| `{}` | `{default}` | {} |", v.name, v.help),
    };
    let expected: Vec<String> = VARIABLES.iter().map(row).collect();
    assert_eq!(rows, expected);
}

#[test]
fn everything_is_looked_at_at_a_time_of_day_or_never() {
    let at = |text| read(&[("DIAGNOSE_AT", text)]).map(|config| config.diagnose_at);
    assert_eq!(at("03:30"), Ok(NaiveTime::from_hms_opt(3, 30, 0)));
    assert_eq!(at("23:59:58"), Ok(NaiveTime::from_hms_opt(23, 59, 58)));
    assert_eq!(at("off"), Ok(None));
    for wrong in ["24:00", "3", "midnight", "-1:00"] {
        let Err(ConfigError(problems)) = at(wrong) else {
            panic!("{wrong} was taken");
        };
        assert!(problems[0].starts_with("DIAGNOSE_AT: "), "{problems:?}");
    }
}
