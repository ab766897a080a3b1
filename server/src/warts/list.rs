//! Lists and cycles: which target list was probed, and in which pass over it.

use std::collections::HashMap;
use std::sync::Arc;

use super::fault::Fault;
use super::limits::Limits;
use super::params::Params;
use super::reader::Reader;

/// A list of targets. `sc_warts2json` prints nothing for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// The list id its user chose.
    pub list_id: u32,
    /// Name of the list.
    pub name: Arc<str>,
    /// What the list is, in free text.
    pub description: Option<String>,
    /// Canonical name of the machine that probes.
    pub monitor: Option<String>,
}

/// The start (or, in joined files, the definition) of one pass over a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CycleStart {
    /// The cycle id its user chose.
    pub cycle_id: u32,
    /// The list id its user chose.
    pub list_id: u32,
    /// Name of the list.
    pub list_name: Arc<str>,
    /// When the pass began, seconds since 1970 UTC.
    pub start: u32,
    /// When it ended, seconds since 1970 UTC, where already known.
    pub stop: Option<u32>,
    /// Host name of the machine that probes.
    pub hostname: Option<String>,
}

/// The end of a pass over a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CycleStop {
    /// The pass that ended.
    pub cycle: Arc<CycleStart>,
    /// When it ended, seconds since 1970 UTC.
    pub stop: u32,
}

/// What the lists and cycles of a file are called, by the ids records refer to them.
///
/// Those ids are counted per file; in a plain concatenation they begin anew, so a
/// later definition replaces an earlier one.
#[derive(Debug, Default)]
pub(super) struct Directory {
    lists: HashMap<u32, (u32, Arc<str>)>,
    cycles: HashMap<u32, Arc<CycleStart>>,
}

impl Directory {
    /// The list id its user chose, for the id a record carries. A lost list does not
    /// make the measurements that refer to it undecodable.
    pub(super) fn list_id(&self, id: u32) -> Option<u32> {
        self.lists.get(&id).map(|(list_id, _)| *list_id)
    }

    /// The cycle id its user chose, for the id a record carries.
    pub(super) fn cycle_id(&self, id: u32) -> Option<u32> {
        self.cycles.get(&id).map(|cycle| cycle.cycle_id)
    }

    pub(super) fn read_list(
        &mut self,
        body: &mut Reader<'_>,
        limits: &Limits,
    ) -> Result<List, Fault> {
        let limit = limits.max_name_bytes;
        let id = body.u32()?;
        let list_id = body.u32()?;
        let name: Arc<str> = body.text(limit)?.into();
        let (mut description, mut monitor) = (None, None);
        let mut params = Params::read(body)?;
        while let Some(param) = params.next_id() {
            match param {
                1 => description = Some(params.values.text(limit)?),
                2 => monitor = Some(params.values.text(limit)?),
                _ => break,
            }
        }
        body.finish()?;
        self.lists.insert(id, (list_id, Arc::clone(&name)));
        Ok(List {
            list_id,
            name,
            description,
            monitor,
        })
    }

    pub(super) fn read_cycle(
        &mut self,
        body: &mut Reader<'_>,
        limits: &Limits,
    ) -> Result<Arc<CycleStart>, Fault> {
        let id = body.u32()?;
        let list = body.u32()?;
        let cycle_id = body.u32()?;
        let start = body.u32()?;
        let (mut stop, mut hostname) = (None, None);
        let mut params = Params::read(body)?;
        while let Some(param) = params.next_id() {
            match param {
                1 => stop = Some(params.values.u32()?),
                2 => hostname = Some(params.values.text(limits.max_name_bytes)?),
                _ => break,
            }
        }
        body.finish()?;
        let (list_id, list_name) = self.lists.get(&list).ok_or(Fault::UnknownList(list))?;
        let cycle = Arc::new(CycleStart {
            cycle_id,
            list_id: *list_id,
            list_name: Arc::clone(list_name),
            start,
            stop,
            hostname,
        });
        self.cycles.insert(id, Arc::clone(&cycle));
        Ok(cycle)
    }

    pub(super) fn read_cycle_stop(&self, body: &mut Reader<'_>) -> Result<CycleStop, Fault> {
        let id = body.u32()?;
        let stop = body.u32()?;
        Params::read(body)?;
        body.finish()?;
        let cycle = self.cycles.get(&id).ok_or(Fault::UnknownCycle(id))?;
        Ok(CycleStop {
            cycle: Arc::clone(cycle),
            stop,
        })
    }
}
