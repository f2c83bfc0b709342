//! What goes wrong, drawn from the seed.

use crate::{
    harness::{Event, Harness},
    world::Program,
};
use rand::Rng;
use std::time::Duration;

impl Harness<'_> {
    /// One thing goes wrong now, and most of them end by themselves.
    pub(crate) fn fault(&mut self) {
        let count = self.count;
        let one = self.random.random_range(0..count);
        let other = (one + self.random.random_range(1..count)) % count;
        let lasts = Duration::from_millis(self.random.random_range(300..7_000));
        match self.random.random_range(0..100) {
            0..15 => {
                self.happen(Event::PowerOff(one));
                self.plan(lasts, Event::PowerOn(one));
            }
            15..32 => {
                let operations = self.random.random_range(1..60);
                self.happen(Event::PowerOffInWrite(one, operations));
                // Switched on again after it went off, whenever that is.
                self.plan(lasts + Duration::from_secs(3), Event::PowerOn(one));
            }
            32..42 => self.happen(Event::KillDaemon(one, Program::Crmd)),
            42..47 => self.happen(Event::KillDaemon(one, Program::Stonithd)),
            47..54 => {
                self.happen(Event::KillAll(one));
                self.plan(lasts + Duration::from_secs(8), Event::PowerOff(one));
                self.plan(lasts + Duration::from_secs(10), Event::PowerOn(one));
            }
            54..66 => {
                self.happen(Event::Cut(one, other));
                self.plan(lasts, Event::Mend(one, other));
            }
            66..80 => {
                for other in (0..count).filter(|o| *o != one) {
                    self.happen(Event::Cut(one, other));
                    self.plan(lasts, Event::Mend(one, other));
                }
            }
            80..88 => {
                let most_ms = self.random.random_range(50..700);
                self.happen(Event::Delay(one, other, most_ms));
                self.plan(lasts, Event::Delay(one, other, 10));
            }
            88..92 => {
                self.happen(Event::CutDevices(one, true));
                self.plan(2 * lasts, Event::CutDevices(one, false));
            }
            92..96 => {
                let most_ms = self.random.random_range(100..1_500);
                self.happen(Event::SlowDisk(one, most_ms));
                self.plan(lasts, Event::SlowDisk(one, 3));
            }
            _ => {
                for machine in 0..count {
                    self.happen(Event::PowerOff(machine));
                    let off_ms = self.random.random_range(500..5_000);
                    self.plan(Duration::from_millis(off_ms), Event::PowerOn(machine));
                }
            }
        }
    }
}
