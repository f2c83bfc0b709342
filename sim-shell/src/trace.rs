//! What was said during a run, as one number: every line of the daemons' logs and of the harness, with
//! its simulated time and node. Two runs of one seed that differ anywhere differ here.

use std::{
    cell::Cell,
    fmt,
    io::{self, Write},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};
use tracing_subscriber::{
    EnvFilter,
    fmt::{MakeWriter, format::Writer, time::FormatTime},
};

/// More than any run that goes on has to say: somebody does the same over and over in one moment, and
/// simulated time will never pass.
const MOST_LINES: u64 = 50_000;

static HASH: AtomicU64 = AtomicU64::new(0xcbf2_9ce4_8422_2325);
static LINES: AtomicU64 = AtomicU64::new(0);
static SHOWN: AtomicBool = AtomicBool::new(false);

thread_local! {
    static ELAPSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Begins to listen. `show`: the lines go to stderr, too.
pub fn begin(show: bool) {
    SHOWN.store(show, Ordering::Relaxed);
    let filter = EnvFilter::try_from_env(transport::config::LOG_VARIABLE).unwrap_or_else(|_| {
        EnvFilter::new("info,openraft=error,turmoil=warn,turmoil::sim=info,hyper=warn,h2=warn")
    });
    // Fails only if a subscriber is there already.
    let _ = tracing_subscriber::fmt()
        .with_writer(Hashing)
        .with_timer(SimulatedTime)
        .with_ansi(false)
        .with_target(false)
        .with_env_filter(filter)
        .try_init();
}

/// The simulated time outside of turmoil's hosts.
pub fn set_elapsed(elapsed: Duration) {
    ELAPSED.set(elapsed);
}

/// Of everything said so far, and how many lines.
#[must_use]
pub fn hash() -> (u64, u64) {
    (HASH.load(Ordering::Relaxed), LINES.load(Ordering::Relaxed))
}

#[derive(Clone, Copy)]
struct Hashing;

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Fowler, Noll and Vo's FNV-1a.
        let mut hash = HASH.load(Ordering::Relaxed);
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        HASH.store(hash, Ordering::Relaxed);
        if LINES.fetch_add(1, Ordering::Relaxed) > MOST_LINES {
            give_up();
        }
        if SHOWN.load(Ordering::Relaxed) {
            io::stderr().write_all(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Hashing {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}

fn give_up() -> ! {
    let elapsed = turmoil::sim_elapsed().unwrap_or_else(|| ELAPSED.get());
    println!(
        "VIOLATED: {MOST_LINES} lines of log at {:.3} s: something is done over and over",
        elapsed.as_secs_f64()
    );
    std::process::exit(1);
}

struct SimulatedTime;

impl FormatTime for SimulatedTime {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let elapsed = turmoil::sim_elapsed().unwrap_or_else(|| ELAPSED.get());
        write!(writer, "{:>9.3}", elapsed.as_secs_f64())
    }
}
