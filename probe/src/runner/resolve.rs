//! From targets to addresses that may be measured. The hub checked what the user wrote; what a name resolves to is known
//! only here, so it is checked here.
//!
//! A target that cannot be measured costs only itself; a run without any left fails.

use std::{net::IpAddr, time::Duration};

use futures::{StreamExt, stream};
use probe_protocol::{Name, Target, TargetPolicy, spec::DnsParams};
use tokio::{net::lookup_host, time::timeout};
use tracing::info;

use super::Failure;

/// Longest the system's resolver may take for one name.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(15);

/// Names resolved at the same time.
const PARALLEL: usize = 8;

/// The first address of each target that has one and may be measured.
///
/// # Errors
/// [`Failure::NoTarget`] when none is left.
pub async fn addresses(targets: &[Target], policy: TargetPolicy) -> Result<Vec<IpAddr>, Failure> {
    let lookups = targets
        .iter()
        .cloned()
        .map(|target| address(target, policy));
    let found: Vec<_> = stream::iter(lookups).buffered(PARALLEL).collect().await;
    left(found)
}

/// Whether the name server may be asked. What is asked for is not contacted, so names and addresses are all fine.
///
/// # Errors
/// [`Failure::Server`]
pub fn may_ask(params: &DnsParams, policy: TargetPolicy) -> Result<(), Failure> {
    match params.server {
        Some(server) if !policy.allows(server) => Err(Failure::Server(server)),
        _ => Ok(()),
    }
}

fn left<T>(found: Vec<Result<T, String>>) -> Result<Vec<T>, Failure> {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for one in found {
        match one {
            Ok(target) => good.push(target),
            Err(why) => bad.push(why),
        }
    }
    if good.is_empty() {
        return Err(Failure::NoTarget(bad));
    }
    if !bad.is_empty() {
        info!("left out of a measurement: {}", bad.join("; "));
    }
    Ok(good)
}

async fn address(target: Target, policy: TargetPolicy) -> Result<IpAddr, String> {
    let name = match target {
        Target::Address(address) => return allowed(address, policy),
        Target::Name(name) => name,
    };
    allowed_name(&name, policy)?;
    let first = match timeout(RESOLVE_TIMEOUT, lookup_host((name.as_str(), 0))).await {
        Err(_) => return Err(format!("{name}: no answer from the resolver")),
        Ok(Err(cause)) => return Err(format!("{name}: {cause}")),
        Ok(Ok(mut addresses)) => addresses.next(),
    };
    let address = first.ok_or_else(|| format!("{name}: has no address"))?.ip();
    allowed(address, policy).map_err(|why| format!("{name}: {why}"))
}

fn allowed(address: IpAddr, policy: TargetPolicy) -> Result<IpAddr, String> {
    if policy.allows(address) {
        Ok(address)
    } else {
        Err(format!("{address}: not a public address"))
    }
}

fn allowed_name(name: &Name, policy: TargetPolicy) -> Result<(), String> {
    if policy.allows_name(name) {
        Ok(())
    } else {
        Err(format!("{name}: not a public name"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(texts: &[&str]) -> Vec<Target> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[tokio::test]
    async fn names_become_addresses_and_the_rest_is_left_out() {
        let found = addresses(&targets(&["192.0.2.1", "localhost"]), TargetPolicy::Any)
            .await
            .unwrap();
        assert_eq!(found.len(), 2);
        assert!(found[1].is_loopback());
        let some = targets(&["8.8.8.8", "10.0.0.1", "localhost"]);
        let found = addresses(&some, TargetPolicy::Public).await.unwrap();
        assert_eq!(found, ["8.8.8.8".parse::<IpAddr>().unwrap()]);
    }

    #[tokio::test]
    async fn nothing_left_says_why_for_each() {
        let some = targets(&["10.0.0.1", "::ffff:127.0.0.1", "localhost"]);
        let failure = addresses(&some, TargetPolicy::Public).await.unwrap_err();
        let text = failure.to_string();
        for target in &some {
            assert!(text.contains(&target.to_string()), "{text}");
        }
    }

    #[test]
    fn the_name_server_is_checked_too() {
        let params = DnsParams {
            server: Some("10.0.0.53".parse().unwrap()),
            ..DnsParams::default()
        };
        assert!(may_ask(&params, TargetPolicy::Any).is_ok());
        let refused = may_ask(&params, TargetPolicy::Public);
        assert!(matches!(refused, Err(Failure::Server(_))));
        assert!(may_ask(&DnsParams::default(), TargetPolicy::Public).is_ok());
    }
}
