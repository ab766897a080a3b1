//! The warts decoder against the prober that writes the format and the tools that
//! read it.
//!
//! Every case runs scamper, decodes what it wrote, and compares with `sc_warts2json`
//! and `sc_analysis_dump`, value by value. Packets stay on loopback or inside network
//! namespaces that the cases make and remove. A machine that cannot do that gets
//! every case reported as ignored, with the reason as its kind.

mod cases;
mod compare;
mod names;
mod network;
mod run;

use std::sync::Arc;

use libtest_mimic::{Failed, Trial};

use cases::{CASES, Case, FILES, Place};
use network::{Network, SharedNetwork};

/// All cases, in no order that matters.
pub(crate) fn trials() -> Vec<Trial> {
    let tools = run::missing_tool().map_or(Ok(()), Err);
    let namespaces = tools.clone().and_then(|()| network::available());
    let network = Arc::new(SharedNetwork::default());
    let measured = CASES.iter().map(|case| {
        let why = match case.place {
            Place::Loopback => tools.clone().and_then(|()| network::is_root()),
            Place::Network | Place::Silent => namespaces.clone(),
        };
        let network = Arc::clone(&network);
        trial(case.name, why, move || measure(case, &network))
    });
    let files = FILES.iter().map(|(name, check)| {
        let why = tools.clone().and_then(|()| network::is_root());
        trial(name, why, *check)
    });
    measured.chain(files).collect()
}

fn trial(
    name: &str,
    why: Result<(), String>,
    check: impl FnOnce() -> Result<(), String> + Send + 'static,
) -> Trial {
    let name = format!("warts::{name}");
    match why {
        Ok(()) => Trial::test(name, move || check().map_err(Failed::from)),
        Err(why) => {
            let kind = format!("skipped: {why}");
            Trial::test(name, move || Err(Failed::from(why)))
                .with_ignored_flag(true)
                .with_kind(kind)
        }
    }
}

fn measure(case: &Case, network: &SharedNetwork) -> Result<(), String> {
    let dir = run::dir()?;
    let file = dir.path().join("case.warts");
    let namespace = match case.place {
        Place::Loopback => None,
        Place::Network => Some(network.get()?.open()),
        Place::Silent => Some(network.get()?.silent()),
    };
    let _names = case.resolver.map(names::serve).transpose()?;
    run::scamper(&file, namespace.as_deref(), case.options, case.commands)?;
    let compared = compare::file(&file)?;
    if compared.measurements < case.commands.len() {
        return Err(format!("only {compared:?} came out of {:?}", case.commands));
    }
    for expected in case.expected {
        if !compared.text.contains(expected) {
            return Err(format!("no {expected} in {}", compared.text));
        }
    }
    Ok(())
}

impl Network {
    fn open(&self) -> String {
        self.name("a")
    }

    fn silent(&self) -> String {
        self.name("s")
    }
}
