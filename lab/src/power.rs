//! A node as the lab's daemon sees it: power switch, lives, and the proof that nothing of it runs.

use crate::{
    error::{LabError, While, said},
    layout::{Layout, Spec},
    network, wire,
};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    os::unix::fs::MetadataExt,
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long a booting node may take until its first process runs.
const BOOT_LIMIT: Duration = Duration::from_secs(10);
/// How long the kernel of a killed node goes on answering (with resets) before its addresses go.
const KERNEL_SURVIVES: Duration = Duration::from_secs(1);

/// One node.
pub(crate) struct Machine {
    name: String,
    number: u8,
    life: u64,
    state: State,
    /// Its links are to be removed: nothing is heard over them any more, but taking them out takes a while.
    plugged: bool,
    /// Stays off after fencing until switched on from outside.
    pub(crate) keep_off: bool,
}

enum State {
    Off,
    Running(Running),
    /// Power is on, nothing runs; the network lives on until the moment, if there is one.
    Crashed {
        network: Option<(File, Instant)>,
    },
}

struct Running {
    booter: Child,
    _said: BufReader<ChildStdout>,
    first: Pid,
    network: File,
}

impl Machine {
    /// A node that is off.
    pub(crate) fn new(name: &str, number: u8) -> Self {
        Self {
            name: name.to_owned(),
            number,
            life: 0,
            state: State::Off,
            plugged: false,
            keep_off: false,
        }
    }

    /// How often it was booted.
    pub(crate) fn life(&self) -> u64 {
        self.life
    }

    /// As fencing devices see it: a crashed machine has its power on.
    pub(crate) fn power(&self) -> &'static str {
        match self.state {
            State::Off => "off",
            State::Running(_) | State::Crashed { .. } => "on",
        }
    }

    /// Whether it belongs to this network namespace.
    pub(crate) fn owns_network(&self, inode: u64) -> bool {
        match &self.state {
            State::Running(running) => running.network.metadata().is_ok_and(|m| m.ino() == inode),
            _ => false,
        }
    }

    /// For `lab status`.
    pub(crate) fn describe(&self, spec: &Spec) -> wire::MachineState {
        let (state, pid) = match &self.state {
            State::Off => ("off", 0),
            State::Running(running) => ("running", running.booter.id() + 1),
            State::Crashed { .. } => ("crashed", 0),
        };
        let addresses = spec.addresses(&self.name).unwrap_or_default();
        wire::MachineState {
            node: self.name.clone(),
            state: state.into(),
            life: self.life,
            addresses: addresses.iter().map(ToString::to_string).collect(),
            pid,
        }
    }

    /// Power on: a new life. Nothing happens if it runs.
    pub(crate) fn on(&mut self, layout: &Layout, spec: &Spec) -> Result<(), LabError> {
        match self.state {
            State::Running(_) => return Ok(()),
            State::Crashed { .. } => self.off(spec)?,
            State::Off => {}
        }
        self.unplug(spec)?;
        self.life += 1;
        let life = layout.node(&self.name).join("life");
        fs::write(&life, self.life.to_string()).during(|| format!("write {}", life.display()))?;
        self.plugged = true;
        self.state = State::Running(self.start(layout, spec)?);
        Ok(())
    }

    fn unplug(&mut self, spec: &Spec) -> Result<(), LabError> {
        if std::mem::take(&mut self.plugged) {
            network::unplug(spec, self.number)?;
        }
        Ok(())
    }

    fn start(&self, layout: &Layout, spec: &Spec) -> Result<Running, LabError> {
        let mut booter = Command::new(layout.program())
            .args(["lab", "boot", "--dir"])
            .arg(layout.dir())
            .args(["--node", &self.name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .during(|| format!("boot {}", self.name))?;
        match self.lead(&mut booter, spec) {
            Ok((said, first, network)) => Ok(Running {
                booter,
                _said: said,
                first,
                network,
            }),
            Err(e) => {
                let _ = booter.kill();
                let _ = booter.wait();
                Err(e)
            }
        }
    }

    /// The conversation with the booting process. It dies with us, and its end ends ours.
    fn lead(
        &self,
        booter: &mut Child,
        spec: &Spec,
    ) -> Result<(BufReader<ChildStdout>, Pid, File), LabError> {
        let (Some(mut input), Some(output)) = (booter.stdin.take(), booter.stdout.take()) else {
            return said(format!("boot {}: no pipes", self.name));
        };
        let mut output = BufReader::new(output);
        self.expect(&mut output, "ready")?;
        network::plug(spec, self.number, booter.id())?;
        let namespace = format!("/proc/{}/ns/net", booter.id());
        let network = File::open(&namespace).during(|| format!("hold {namespace}"))?;
        input
            .write_all(b"go\n")
            .during(|| format!("boot {}", self.name))?;
        let pid = self.expect(&mut output, "pid ")?;
        match pid.parse().ok().and_then(Pid::from_raw) {
            Some(first) => Ok((output, first, network)),
            None => said(format!("boot {}: its first process is '{pid}'", self.name)),
        }
    }

    fn expect(&self, output: &mut BufReader<ChildStdout>, word: &str) -> Result<String, LabError> {
        let mut line = String::new();
        output
            .read_line(&mut line)
            .during(|| format!("boot {}", self.name))?;
        match line.trim_end().strip_prefix(word) {
            Some(rest) => Ok(rest.to_owned()),
            None => said(format!(
                "node {} did not boot: its reason is in the lab's lab.log",
                self.name
            )),
        }
    }

    /// SIGKILL for every process. The network stays for a moment, so that the kernel's last words (FIN,
    /// RST) are heard; [`Machine::tick`] takes it away.
    pub(crate) fn kill(&mut self) -> Result<(), LabError> {
        let State::Running(running) = std::mem::replace(&mut self.state, State::Off) else {
            self.state = State::Crashed { network: None };
            return Ok(());
        };
        let network = running.end(&self.name)?;
        self.state = State::Crashed {
            network: Some((network, Instant::now() + KERNEL_SURVIVES)),
        };
        Ok(())
    }

    /// The same unheard: the links are dead first, and nothing answers for the node any more. The others
    /// hear nothing at all, as when its power fails.
    pub(crate) fn silence(&mut self, spec: &Spec) -> Result<(), LabError> {
        self.off(spec)?;
        self.state = State::Crashed { network: None };
        self.unplug(spec)
    }

    /// Power off: the links are dead first, as nobody hears the last words of a machine without power.
    /// Returns when no process of the node is left.
    pub(crate) fn off(&mut self, spec: &Spec) -> Result<(), LabError> {
        if let State::Running(running) = std::mem::replace(&mut self.state, State::Off) {
            network::silence(spec, self.number)?;
            running.end(&self.name)?;
        }
        Ok(())
    }

    /// Takes the network of a node away that is off, or of a crashed one when its time has come.
    pub(crate) fn tick(&mut self, spec: &Spec) -> Result<(), LabError> {
        match &self.state {
            State::Off => self.unplug(spec),
            State::Crashed {
                network: Some((_, until)),
            } if *until <= Instant::now() => {
                self.unplug(spec)?;
                self.state = State::Crashed { network: None };
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Running {
    /// Ends the first process, and with it the kernel ends all others; the booting process, whose child it
    /// is, sees its end only when none is left.
    fn end(mut self, name: &str) -> Result<File, LabError> {
        let _ = kill_process(self.first, Signal::KILL);
        let deadline = Instant::now() + BOOT_LIMIT;
        loop {
            match self
                .booter
                .try_wait()
                .during(|| format!("wait for the end of {name}"))?
            {
                Some(_) => return Ok(self.network),
                None if Instant::now() > deadline => {
                    return Err(LabError::TooLate {
                        what: format!("the processes of {name} did not end"),
                        limit_ms: BOOT_LIMIT.as_millis() as u64,
                    });
                }
                None => thread::sleep(Duration::from_micros(300)),
            }
        }
    }
}
