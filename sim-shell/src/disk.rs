//! A disk that keeps what was synced and promises nothing else: when the power goes, each write since
//! the last sync is there, lost, or torn between two sectors, as the seed has it. When only the process
//! is killed everything written stays, as it does in a kernel's page cache.
//!
//! Must never: lose or change a byte that was synced.

use crmd::machine::SimulatedDisk;
use rand::{Rng, SeedableRng, rngs::StdRng};
use redb::{Builder, Database, DatabaseError, StorageBackend};
use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Writes that find a place in what was set aside.
const SPARE: u32 = 400;

/// What is written whole or not at all.
const SECTOR: usize = 512;

/// One node's disk; clones are the same.
#[derive(Clone, Debug)]
pub struct Disk(Arc<Mutex<Platter>>);

#[derive(Debug)]
struct Platter {
    /// What a power loss leaves for certain.
    synced: Vec<u8>,
    /// What is written since, in order.
    pending: Vec<Write>,
    /// What is read.
    live: Vec<u8>,
    /// Handles of an earlier run of the daemon get errors.
    generation: u64,
    /// Writes and syncs until the power goes in the middle of a commit.
    fuse: Option<u32>,
    random: StdRng,
    slow_ms: u64,
    /// Somebody else has taken all the room.
    full: bool,
    /// Room is set aside.
    reserved: bool,
    /// Writes for which what was set aside is still enough.
    spare: u32,
    /// Broken on purpose: what was synced is lost, too.
    lies: bool,
    counts: Counts,
}

/// What happened to a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Power losses with something unsynced.
    pub losses: u64,
    /// Of the unsynced writes: kept.
    pub kept: u64,
    /// Lost.
    pub lost: u64,
    /// Torn.
    pub torn: u64,
}

#[derive(Debug)]
enum Write {
    Bytes { offset: usize, data: Vec<u8> },
    Length(usize),
}

impl Disk {
    /// An empty one.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Platter {
            synced: Vec::new(),
            pending: Vec::new(),
            live: Vec::new(),
            generation: 0,
            fuse: None,
            random: StdRng::seed_from_u64(seed),
            slow_ms: 3,
            full: false,
            reserved: false,
            spare: 0,
            lies: false,
            counts: Counts::default(),
        })))
    }

    /// The daemon was killed: its handles are gone, what it wrote is not.
    pub fn process_killed(&self) {
        self.platter().generation += 1;
    }

    /// The power went.
    pub fn power_lost(&self) {
        self.platter().lose_power();
    }

    /// The power goes after so many more writes and syncs.
    pub fn power_goes_after(&self, operations: u32) {
        self.platter().fuse = Some(operations);
    }

    /// It does not go any more.
    pub fn power_stays(&self) {
        self.platter().fuse = None;
    }

    /// Whether it went by itself (see [`Self::power_goes_after`]).
    #[must_use]
    pub fn is_out(&self) -> bool {
        self.platter().fuse == Some(0)
    }

    /// Writes take up to this long from now on.
    pub fn set_slow_ms(&self, slow_ms: u64) {
        self.platter().slow_ms = slow_ms.max(1);
    }

    /// From now on there is no room any more, or there is again.
    pub fn set_full(&self, full: bool) {
        self.platter().full = full;
    }

    /// Whether there is no room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.platter().full
    }

    /// Breaks its only promise from now on: a checker must notice.
    pub fn lie(&self) {
        self.platter().lies = true;
    }

    /// What happened so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.platter().counts
    }

    /// A handle as the daemon gets one.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle {
            generation: self.platter().generation,
            disk: self.clone(),
        }
    }

    fn platter(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SimulatedDisk for Disk {
    fn open(&self, builder: &mut Builder) -> Result<Database, DatabaseError> {
        builder.create_with_backend(self.handle())
    }

    fn delay(&self) -> Duration {
        let mut platter = self.platter();
        let slow_us = platter.slow_ms * 1_000;
        Duration::from_micros(platter.random.random_range(200..=slow_us))
    }

    fn set_aside(&self) -> io::Result<()> {
        let mut platter = self.platter();
        if platter.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        platter.reserved = true;
        Ok(())
    }

    fn release(&self) -> bool {
        let mut platter = self.platter();
        if platter.reserved {
            platter.spare = SPARE;
        }
        std::mem::take(&mut platter.reserved)
    }
}

impl Platter {
    /// How careless the disk was this time is one draw, so that every kind of loss is met often.
    fn lose_power(&mut self) {
        self.generation += 1;
        self.fuse = None;
        let pending = std::mem::take(&mut self.pending);
        self.counts.losses += u64::from(!pending.is_empty());
        let kind = self.random.random_range(0..4);
        let until = self.random.random_range(0..=pending.len());
        for (number, write) in pending.into_iter().enumerate() {
            match kind {
                0 => self.counts.lost += 1,
                1 if number < until => self.keep(write),
                1 if number == until => self.tear(write),
                1 => self.counts.lost += 1,
                2 => self.keep(write),
                _ => match self.random.random_range(0..3) {
                    0 => self.counts.lost += 1,
                    1 => self.tear(write),
                    _ => self.keep(write),
                },
            }
        }
        self.live = self.synced.clone();
    }

    fn keep(&mut self, write: Write) {
        self.counts.kept += 1;
        put(&mut self.synced, &write);
    }

    fn tear(&mut self, write: Write) {
        let Write::Bytes { offset, data } = write else {
            return self.keep(write);
        };
        self.counts.torn += 1;
        let mut at = offset;
        let mut rest = data.as_slice();
        while !rest.is_empty() {
            let (sector, after) = rest.split_at((SECTOR - at % SECTOR).min(rest.len()));
            if self.random.random_bool(0.5) {
                let data = sector.to_vec();
                put(&mut self.synced, &Write::Bytes { offset: at, data });
            }
            at += sector.len();
            rest = after;
        }
    }

    /// Whether a write finds a place.
    fn room(&mut self) -> io::Result<()> {
        match (self.full, self.spare) {
            (false, _) => Ok(()),
            (true, 0) => Err(io::ErrorKind::StorageFull.into()),
            (true, _) => {
                self.spare -= 1;
                Ok(())
            }
        }
    }

    /// Counts down to the loss of power; whether it is still there.
    fn powered(&mut self) -> io::Result<()> {
        match &mut self.fuse {
            None => Ok(()),
            Some(0) => Err(gone()),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }
}

/// What lies behind the end of a file that did not grow is lost with the growth.
fn put(file: &mut Vec<u8>, write: &Write) {
    match write {
        Write::Length(length) => file.resize(*length, 0),
        Write::Bytes { offset, data } => {
            let end = (offset + data.len()).min(file.len());
            if *offset < end {
                file[*offset..end].copy_from_slice(&data[..end - offset]);
            }
        }
    }
}

fn gone() -> io::Error {
    io::Error::other("the disk has no power")
}

/// The daemon's handle on the disk.
#[derive(Debug)]
pub struct Handle {
    disk: Disk,
    generation: u64,
}

impl Handle {
    fn platter(&self) -> io::Result<MutexGuard<'_, Platter>> {
        let platter = self.disk.platter();
        let present = platter.generation == self.generation && platter.fuse != Some(0);
        if present { Ok(platter) } else { Err(gone()) }
    }
}

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        Ok(self.platter()?.live.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let platter = self.platter()?;
        let begin = usize::try_from(offset).map_err(io::Error::other)?;
        let bytes = platter.live.get(begin..begin + out.len());
        let bytes = bytes.ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut platter = self.platter()?;
        platter.powered()?;
        platter.room()?;
        let write = Write::Length(usize::try_from(len).map_err(io::Error::other)?);
        put(&mut platter.live, &write);
        platter.pending.push(write);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut platter = self.platter()?;
        platter.powered()?;
        if platter.lies {
            return Ok(());
        }
        for write in std::mem::take(&mut platter.pending) {
            put(&mut platter.synced, &write);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut platter = self.platter()?;
        platter.powered()?;
        platter.room()?;
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        if offset + data.len() > platter.live.len() {
            platter.live.resize(offset + data.len(), 0);
            platter.pending.push(Write::Length(offset + data.len()));
        }
        let data = data.to_vec();
        let write = Write::Bytes { offset, data };
        put(&mut platter.live, &write);
        platter.pending.push(write);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redb::TableDefinition;

    const TABLE: TableDefinition<'_, u64, u64> = TableDefinition::new("numbers");

    #[test]
    fn what_was_synced_survives_and_the_rest_may_not() {
        let mut ends = std::collections::BTreeSet::new();
        for seed in 0..40 {
            let disk = Disk::new(seed);
            let handle = disk.handle();
            handle.set_len(4_096).unwrap();
            handle.write(0, &[1; 2_048]).unwrap();
            handle.sync_data().unwrap();
            handle.write(1_024, &[2; 2_048]).unwrap();
            disk.power_lost();
            assert!(handle.read(0, &mut [0; 1]).is_err(), "an old handle");
            let mut bytes = vec![0; 4_096];
            disk.handle().read(0, &mut bytes).unwrap();
            assert_eq!(bytes[..1_024], [1; 1_024], "synced bytes");
            ends.insert(bytes);
        }
        assert!(ends.len() > 4, "every kind of loss: {}", ends.len());
    }

    #[test]
    fn a_killed_process_loses_nothing_it_wrote() {
        let disk = Disk::new(1);
        disk.handle().write(0, &[7; 8]).unwrap();
        disk.process_killed();
        let mut bytes = [0; 8];
        disk.handle().read(0, &mut bytes).unwrap();
        assert_eq!(bytes, [7; 8]);
    }

    #[test]
    fn a_full_disk_takes_what_was_set_aside_for_and_no_more() {
        let disk = Disk::new(1);
        assert!(!disk.release(), "nothing was set aside");
        disk.set_aside().unwrap();
        disk.set_full(true);
        let full = |r: io::Result<()>| r.is_err_and(|e| e.kind() == io::ErrorKind::StorageFull);
        assert!(full(disk.handle().write(0, &[1])));
        assert!(full(disk.set_aside()));
        assert!(disk.release());
        for _ in 0..SPARE {
            disk.handle().write(0, &[1]).unwrap();
        }
        assert!(full(disk.handle().write(0, &[1])));
        disk.set_full(false);
        disk.handle().write(0, &[1]).unwrap();
    }

    /// Power cut after every number of operations: redb comes up with everything it had committed.
    #[test]
    fn redb_keeps_its_commits() {
        for seed in 0..60 {
            let disk = Disk::new(u64::from(seed));
            let mut committed = 0;
            for round in 0..4 {
                let opened = Database::builder().create_with_backend(disk.handle());
                let Ok(database) = opened else {
                    assert!(disk.is_out(), "seed {seed}: {opened:?}");
                    disk.power_lost();
                    continue;
                };
                let found = last(&database);
                assert!(found >= committed, "seed {seed}: {found} of {committed}");
                committed = found;
                disk.power_goes_after(5 + 7 * round + seed % 23);
                while let Ok(number) = commit(&database, committed + 1) {
                    committed = number;
                }
                disk.power_lost();
            }
        }
    }

    fn last(database: &Database) -> u64 {
        use redb::{ReadableDatabase, ReadableTable};
        let read = database.begin_read().unwrap();
        let Ok(table) = read.open_table(TABLE) else {
            return 0;
        };
        table.last().unwrap().map_or(0, |(key, _)| key.value())
    }

    fn commit(database: &Database, number: u64) -> Result<u64, redb::Error> {
        let write = database.begin_write()?;
        write.open_table(TABLE)?.insert(number, number)?;
        write.commit()?;
        Ok(number)
    }
}
