//! What to try next, ready to be copied into another terminal.

use probe_protocol::Kind;

use crate::setup::{Login, Order, World};

/// Prints where everything is and three requests to go on with.
pub(crate) fn print(hub: &str, user: &Login, admin: &Login, world: &World, orders: &[Order]) {
    let World { token, probe, .. } = world;
    // The ping goes on, so there is always something to see; without it any operation will do.
    let Some(order) = orders
        .iter()
        .find(|order| order.kind == Kind::Ping)
        .or(orders.first())
    else {
        return;
    };
    let operation = format!("{hub}/api/v1/operations/{}", order.id);
    let auth = r#"-H "Authorization: Bearer $TOKEN""#;
    // What any probe can run, if it cannot ping.
    let kind = order.kind;
    println!(
        "
The hub is at {hub}, its API to click through at {hub}/documentation/
User       {}   password {}
Superuser  {}  password {}

Copy these lines into another terminal to log in, list results, measure something, watch:

TOKEN={token}
curl {auth} '{operation}/results?limit=2'
curl {auth} {hub}/api/v1/operations -d '{{\"kind\":\"{kind}\",\"targets\":[\"127.0.0.1\"],\"probes\":[\"{probe}\"]}}'
curl {auth} -N {operation}/events

Ctrl-C stops everything. Results go on:",
        user.email, user.password, admin.email, admin.password,
    );
}
