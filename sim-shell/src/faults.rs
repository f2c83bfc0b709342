//! What goes wrong, drawn from the seed.

use crate::{
    harness::{Event, Harness},
    world::Program,
};
use rand::Rng;
use std::time::Duration;

/// Furthest that a calendar jumps: three days.
const JUMP_S: i64 = 3 * 24 * 3_600;

impl Harness<'_> {
    /// One thing goes wrong now, and most of them end by themselves.
    pub(crate) fn fault(&mut self) {
        let count = self.count;
        let one = self.random.random_range(0..count);
        let other = (one + self.random.random_range(1..count)) % count;
        let lasts = Duration::from_millis(self.random.random_range(300..7_000));
        match self.random.random_range(0..120) {
            0..15 => self.for_a_time(Event::PowerOff(one), Event::PowerOn(one), lasts),
            15..32 => {
                let operations = self.random.random_range(1..60);
                let off = Event::PowerOffInWrite(one, operations);
                // Switched on again after it went off, whenever that is.
                self.for_a_time(off, Event::PowerOn(one), lasts + Duration::from_secs(3));
            }
            32..42 => self.happen(Event::KillDaemon(one, Program::Crmd)),
            42..50 => self.happen(Event::KillDaemon(one, Program::Stonithd)),
            50..57 => {
                self.happen(Event::KillAll(one));
                self.plan(lasts + Duration::from_secs(8), Event::PowerOff(one));
                self.plan(lasts + Duration::from_secs(10), Event::PowerOn(one));
            }
            57..69 => self.for_a_time(Event::Cut(one, other), Event::Mend(one, other), lasts),
            69..83 => {
                for other in (0..count).filter(|o| *o != one) {
                    self.for_a_time(Event::Cut(one, other), Event::Mend(one, other), lasts);
                }
            }
            83..88 => self.cut_one_way(one, other, lasts),
            88..91 => self.deaf_or_mute(one, lasts),
            91..97 => {
                let most_ms = self.random.random_range(50..700);
                let slow = Event::Delay(one, other, most_ms);
                self.for_a_time(slow, Event::Delay(one, other, 10), lasts);
            }
            97..103 => {
                let (cut, mended) = (Event::CutDevices(one, true), Event::CutDevices(one, false));
                self.for_a_time(cut, mended, 2 * lasts);
            }
            103..107 => {
                let most_ms = self.random.random_range(100..1_500);
                let slow = Event::SlowDisk(one, most_ms);
                self.for_a_time(slow, Event::SlowDisk(one, 3), lasts);
            }
            107..112 => {
                let (full, room) = (Event::FullDisk(one, true), Event::FullDisk(one, false));
                self.for_a_time(full, room, 2 * lasts);
            }
            112..116 => {
                let by_s = self.random.random_range(-JUMP_S..=JUMP_S);
                self.happen(Event::Calendar(one, by_s));
            }
            _ => self.all_off(),
        }
    }

    fn for_a_time(&mut self, begin: Event, end: Event, lasts: Duration) {
        self.happen(begin);
        self.plan(lasts, end);
    }

    fn cut_one_way(&mut self, from: usize, to: usize, lasts: Duration) {
        let cut = |cut| Event::CutOneWay(from, to, cut);
        self.for_a_time(cut(true), cut(false), lasts);
    }

    /// A machine that hears nobody, or is heard by nobody.
    fn deaf_or_mute(&mut self, one: usize, lasts: Duration) {
        let deaf = self.random.random_bool(0.5);
        for other in (0..self.count).filter(|o| *o != one) {
            match deaf {
                true => self.cut_one_way(other, one, lasts),
                false => self.cut_one_way(one, other, lasts),
            }
        }
    }

    fn all_off(&mut self) {
        for machine in 0..self.count {
            let off_ms = self.random.random_range(500..5_000);
            let (off, on) = (Event::PowerOff(machine), Event::PowerOn(machine));
            self.for_a_time(off, on, Duration::from_millis(off_ms));
        }
    }
}
