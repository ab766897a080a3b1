//! `pladmed copy` and `pladmed clone`.

use std::{process::ExitCode, time::Instant};

use clap::Args;

use super::{Done, progress::Progress, runtime};

/// More on `pladmed copy`.
pub(super) const COPY_HELP: &str = "\
Shows how it goes on standard error, and what it did, as a table, on standard output.

Exit codes:
  0  done: the target is complete
  1  failed, or the source changed meanwhile: the target is not complete
  2  cannot be done as asked: nothing was done

Example:
  pladmed copy --from sqlite:/var/lib/pladmed --to 'mongodb://db.example.org/pladmed?replicaSet=rs0'";

/// More on `pladmed clone`.
pub(super) const CLONE_HELP: &str = "\
Shows how it goes on standard error, and what it did, as a table, on standard output. Databases are written as those of
`pladmed copy`.

Exit codes:
  0  done: the target is complete
  1  failed, or the source changed meanwhile: the target is not complete
  2  cannot be done as asked: nothing was done

Example, while the live hub goes on:
  pladmed backup /backup/live.sqlite
  pladmed clone --from sqlite:/backup/live.sqlite --to sqlite:/var/lib/pladmed-staging";

/// Their arguments.
#[derive(Args)]
pub(super) struct Ends {
    /// The database to copy from. Of a connection string prefer the variable: arguments are visible to other users.
    #[arg(
        long,
        env = "PLADMED_FROM",
        hide_env_values = true,
        value_name = "DATABASE"
    )]
    from: String,
    /// The database to copy into, new or empty.
    #[arg(
        long,
        env = "PLADMED_TO",
        hide_env_values = true,
        value_name = "DATABASE"
    )]
    to: String,
}

/// Copies.
pub(super) fn copy(Ends { from, to }: &Ends) -> Done {
    let began = Instant::now();
    let mut progress = Progress::on_stderr();
    let copied = runtime()?.block_on(pladmed::copy(from, to, &mut progress))?;
    drop(progress);
    let took = began.elapsed().as_secs_f64();
    println!("{copied}\nThe copy is complete, after {took:.1} s. A hub may start on it.");
    Ok(ExitCode::SUCCESS)
}

/// Copies and masks.
pub(super) fn clone_masked(Ends { from, to }: &Ends) -> Done {
    let began = Instant::now();
    let mut progress = Progress::on_stderr();
    let copied = runtime()?.block_on(pladmed::clone_masked(from, to, &mut progress))?;
    drop(progress);
    let took = began.elapsed().as_secs_f64();
    println!(
        "{copied}\nThe clone is complete, after {took:.1} s. A hub with ENVIRONMENT=staging, and a SECRET_KEY of its own, may \
         start on it.\nNobody can log in yet. With the settings of that hub, make a superuser:\n  pladmed superuser create \
         EMAIL"
    );
    Ok(ExitCode::SUCCESS)
}
