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
    for key in ["", "short", example] {
        let error = read(&[production, ("SECRET_KEY", key)]).unwrap_err();
        assert!(error.to_string().contains("SECRET_KEY"), "{key}");
        assert!(
            key.is_empty() || !error.to_string().contains(key),
            "the key is shown"
        );
    }
    let config = read(&[production, ("SECRET_KEY", &"k9".repeat(16))]).unwrap();
    assert_eq!(config.target_policy, TargetPolicy::Public);
    assert!(!format!("{config:?}").contains("k9"), "the key is shown");
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
