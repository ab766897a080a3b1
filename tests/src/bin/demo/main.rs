//! `make demo`: the whole of Pladmed on this machine, to look at and to play with.
//!
//! A hub on an embedded database, a superuser, a user with credits, a probe with its agent, three measurements of this
//! machine, and their results as they arrive through the live stream. Then hub and probe stay until Ctrl-C.
//!
//! `main` → [`home`] finds a folder → [`programs`] starts the hub → [`setup`] speaks to it → [`programs`] starts the agent →
//! [`setup`] orders measurements → [`watch`] follows them → [`table`] shows them → [`guide`] says how to go on.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use tests::DnsServer;
use tokio::{sync::mpsc, time::sleep};

mod guide;
mod home;
mod programs;
mod setup;
mod signals;
mod table;
mod watch;

use home::Home;
use programs::{Agent, Hub};
use setup::Order;
use signals::Signals;
use watch::Heard;

/// Longest the first result of each kind may take: the ping waits for the next full minute.
const FIRST_RESULTS_WITHIN: Duration = Duration::from_secs(150);
/// Longest time between looks at the programs.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Starts a hub and a probe, measures this machine and shows the results; Ctrl-C stops everything.
#[derive(Debug, Parser)]
#[command(name = "demo", version)]
struct Cli {
    /// Stop after the first result of each kind that this machine can measure; fails when one does not come in time
    #[arg(long)]
    once: bool,
    /// Folder for the data; every run makes a numbered folder in it
    #[arg(long, value_name = "DIR", default_value = "data/demo")]
    data: PathBuf,
    /// First port to try for the hub
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
}

/// Why the demo cannot go on, for people.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Failure(String);

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match runtime.block_on(demo(&cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\ndemo: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Everything that runs, and what it takes to stop it.
struct Stage {
    home: Home,
    hub: Hub,
    agent: Option<Agent>,
}

async fn demo(cli: &Cli) -> Result<(), Failure> {
    // First of all, so that a Ctrl-C never leaves a program behind.
    let mut signals = Signals::listen()?;
    let home = Home::make(&cli.data)?;
    let admin = setup::login("admin@example.org");
    say("starting the hub");
    let hub = Hub::start(&home, cli.port, &admin).await?;
    let mut stage = Stage {
        home,
        hub,
        agent: None,
    };
    let played = tokio::select! {
        played = play(cli, &admin, &mut stage) => played,
        () = signals.next() => Ok(()),
    };
    println!();
    say("stopping (Ctrl-C again does not wait)");
    tokio::select! {
        () = stage.stop() => {}
        () = signals.next() => {}
    }
    println!("The data lies in {}.", stage.home.path().display());
    played
}

async fn play(cli: &Cli, admin: &setup::Login, stage: &mut Stage) -> Result<(), Failure> {
    let names = DnsServer::start().await;
    say("registering a user with credits and a probe");
    let user = setup::login("ana@example.org");
    let world = setup::people(&stage.hub.url(), admin, &user).await?;
    say("starting the probe's agent");
    stage.agent = Some(Agent::start(
        &stage.home,
        &stage.hub.url(),
        &world.probe_token,
    ));
    let kinds = setup::connected(&world, || stage.agent_ended()).await?;
    programs::explain_missing(&kinds).await;
    say("ordering measurements of this machine");
    let orders = setup::order(&world, &kinds, names.address().port()).await?;
    let (sender, mut heard) = mpsc::channel(64);
    for order in &orders {
        tokio::spawn(watch::follow(
            world.user.clone(),
            order.clone(),
            sender.clone(),
        ));
    }
    println!("\n{}", table::header());
    let first = first_results(&mut heard, &orders, stage);
    let missing = match tokio::time::timeout(FIRST_RESULTS_WITHIN, first).await {
        Ok(heard) => heard?,
        Err(_) => Some("not every kind had a result in time".to_owned()),
    };
    match missing {
        Some(why) if cli.once => return Err(Failure(why)),
        Some(why) => println!("\n{why}; {} may say more", stage.home.agent_log().display()),
        None if cli.once => return Ok(()),
        None => {}
    }
    guide::print(&stage.hub.url(), &user, admin, &world, &orders);
    println!("\n{}", table::header());
    loop {
        if let Some(heard) = stage.next(&mut heard).await? {
            show(heard);
        }
    }
}

/// Shows what is heard until every order had a result that measured something, or ended without; says which did.
async fn first_results(
    heard: &mut mpsc::Receiver<Heard>,
    orders: &[Order],
    stage: &mut Stage,
) -> Result<Option<String>, Failure> {
    let mut wanted: Vec<_> = orders.iter().map(|order| order.kind).collect();
    let mut missing = None;
    while !wanted.is_empty() {
        let Some(heard) = stage.next(heard).await? else {
            continue;
        };
        match &heard {
            Heard::Result { kind, view } if table::is_measured(view) => {
                wanted.retain(|wanted| wanted != kind)
            }
            Heard::Ended { kind, why } if wanted.contains(kind) => {
                wanted.retain(|wanted| wanted != kind);
                missing = Some(format!("the {kind} measured nothing: {why}"));
            }
            _ => {}
        }
        show(heard);
    }
    Ok(missing)
}

fn show(heard: Heard) {
    match heard {
        Heard::Result { kind, view } => table::rows(kind, setup::PROBE_NAME, &view)
            .iter()
            .for_each(|row| println!("{row}")),
        Heard::Ended { .. } => {}
    }
}

impl Stage {
    /// The next that is heard; nothing when it is time to look again. Fails when a program has ended.
    async fn next(&mut self, heard: &mut mpsc::Receiver<Heard>) -> Result<Option<Heard>, Failure> {
        let next = tokio::select! {
            heard = heard.recv() => heard,
            () = sleep(LOOK_EVERY) => None,
        };
        if let Some(why) = self.hub.ended(&self.home).or_else(|| self.agent_ended()) {
            return Err(Failure(why));
        }
        Ok(next)
    }

    fn agent_ended(&mut self) -> Option<String> {
        self.agent
            .as_mut()
            .and_then(|agent| agent.ended(&self.home))
    }

    /// The agent first: then it can still hand over what it has.
    async fn stop(&mut self) {
        if let Some(agent) = &mut self.agent {
            agent.stop().await;
        }
        self.hub.stop().await;
    }
}

/// A line of progress.
fn say(what: &str) {
    println!("… {what}");
}
