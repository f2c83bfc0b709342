//! The lab's daemon: the first process of the lab's namespaces. It owns the nodes, the links and the
//! power switches, and writes down every request with its time. When it ends, everything in the lab ends.

use crate::{
    error::{LabError, While, said},
    events::Event,
    isolate,
    layout::{Layout, Spec},
    network::{self, Cut},
    power::Machine,
    wire::{self, Answer, Ask},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Read},
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// How often crashed nodes are looked at.
const TICK: Duration = Duration::from_millis(50);
/// A client that says nothing does not hold a thread for ever.
const CLIENT_LIMIT: Duration = Duration::from_secs(5);

struct Lab {
    layout: Layout,
    spec: Spec,
    machines: BTreeMap<String, Mutex<Machine>>,
    cuts: Mutex<BTreeSet<Cut>>,
}

/// Runs the lab until it is told to end. `tied`: also until standard input ends.
pub(crate) fn run(layout: Layout, tied: bool) -> Result<(), LabError> {
    isolate::die_with_parent()?;
    isolate::own_mounts()?;
    isolate::mount_proc()?;
    let spec = layout.read_spec()?;
    network::lay(&spec)?;
    if let Some(mib) = spec.disk_mib {
        for node in spec.machines() {
            isolate::disk(&layout.node(node).join("root/var"), mib)?;
        }
    }
    let mut machines = BTreeMap::new();
    for node in spec.machines() {
        machines.insert(
            node.clone(),
            Mutex::new(Machine::new(node, spec.number(node)?)),
        );
    }
    let inside = listen(&layout.fence())?;
    let outside = listen(&layout.control())?;
    let lab = Arc::new(Lab {
        layout,
        spec,
        machines,
        cuts: Mutex::default(),
    });
    for node in lab.spec.machines() {
        lab.on(node)?;
    }
    if tied {
        thread::spawn(end_with_input);
    }
    let ticking = Arc::clone(&lab);
    thread::spawn(move || ticking.tick_for_ever());
    let fencing = Arc::clone(&lab);
    thread::spawn(move || serve(&fencing, &inside, false));
    serve(&lab, &outside, true);
    Ok(())
}

fn listen(at: &Path) -> Result<UnixListener, LabError> {
    let listener = UnixListener::bind(at).during(|| format!("listen at {}", at.display()))?;
    fs::set_permissions(at, fs::Permissions::from_mode(0o600))
        .during(|| format!("protect {}", at.display()))?;
    Ok(listener)
}

fn end_with_input() {
    let mut rest = Vec::new();
    let _ = io::stdin().lock().read_to_end(&mut rest);
    std::process::exit(0);
}

fn serve(lab: &Arc<Lab>, listener: &UnixListener, outside: bool) {
    for stream in listener.incoming() {
        match stream {
            Ok(stream) => {
                let lab = Arc::clone(lab);
                thread::spawn(move || lab.client(stream, outside));
            }
            Err(e) => {
                eprintln!("lab: a client could not connect: {e}");
                thread::sleep(TICK);
            }
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lab {
    fn client(&self, mut stream: UnixStream, outside: bool) {
        let _ = stream.set_read_timeout(Some(CLIENT_LIMIT));
        let by = if outside {
            "operator".to_owned()
        } else {
            self.caller(&stream)
        };
        let answer = match wire::receive_line::<Ask>(&stream) {
            Ok(ask) if outside || for_nodes(&ask) => self.answer(&ask, &by),
            Ok(_) => Err(LabError::Said(
                "a node may only ask for off, on, status and list".into(),
            )),
            Err(e) => Err(LabError::Said(format!("not a request: {e}"))),
        };
        let answer = answer.unwrap_or_else(|e| Answer {
            error: Some(e.to_string()),
            ..Answer::default()
        });
        if let Err(e) = wire::send_line(&mut stream, &answer) {
            eprintln!("lab: {by} did not wait for its answer: {e}");
        }
        if answer.ok && answer.power.as_deref() == Some("down") {
            std::process::exit(0);
        }
    }

    /// The node a caller lives in, by its network namespace.
    fn caller(&self, stream: &UnixStream) -> String {
        let peer = rustix::net::sockopt::socket_peercred(stream).ok();
        let namespace = peer
            .and_then(|c| fs::metadata(format!("/proc/{}/ns/net", c.pid.as_raw_nonzero())).ok());
        let Some(inode) = namespace.map(|m| m.ino()) else {
            return "unknown".into();
        };
        // A node that is just being fenced keeps its lock, and is not the one that asks.
        let owner = self
            .machines
            .iter()
            .find(|(_, m)| m.try_lock().is_ok_and(|m| m.owns_network(inode)));
        owner.map_or_else(|| "unknown".into(), |(name, _)| name.clone())
    }

    fn answer(&self, ask: &Ask, by: &str) -> Result<Answer, LabError> {
        let done = Answer {
            ok: true,
            ..Answer::default()
        };
        match ask {
            Ask::Off { node } => self.fence(node, by),
            Ask::On { node } => self.switch_on(node, by),
            Ask::Status { node } => Ok(self.power(node)?),
            Ask::List => Ok(Answer {
                nodes: Some(self.spec.nodes.clone()),
                ..done
            }),
            Ask::Describe => Ok(self.describe()),
            Ask::Kill { node } => self.kill(node).map(|()| done),
            Ask::Silence { node } => self.silence(node).map(|()| done),
            Ask::KeepOff { node, keep } => {
                locked(self.machine(node)?).keep_off = *keep;
                Ok(done)
            }
            Ask::Cut {
                from,
                to,
                both,
                link,
            } => self.cut(from, to, *both, *link).map(|()| done),
            Ask::Heal => self.heal().map(|()| done),
            Ask::Down => {
                self.log(Event::now("down"));
                Ok(Answer {
                    power: Some("down".into()),
                    ..done
                })
            }
        }
    }

    fn machine(&self, node: &str) -> Result<&Mutex<Machine>, LabError> {
        self.spec.number(node)?;
        self.machines
            .get(node)
            .ok_or_else(|| LabError::Said(format!("there is no node '{node}'")))
    }

    fn power(&self, node: &str) -> Result<Answer, LabError> {
        let power = locked(self.machine(node)?).power();
        Ok(Answer {
            ok: true,
            power: Some(power.into()),
            ..Answer::default()
        })
    }

    fn fence(&self, node: &str, by: &str) -> Result<Answer, LabError> {
        let asked = Event::now("fence-request").detail(format!("by {by}"));
        let mut machine = locked(self.machine(node)?);
        let life = machine.life();
        self.log(asked.node(node, life));
        let result = machine.off(&self.spec);
        let outcome = match &result {
            Ok(()) => Event::now("fence-done")
                .detail(format!("by {by}: off, nothing of it is left running")),
            Err(e) => Event::now("fence-failed").detail(format!("by {by}: {e}")),
        };
        self.log(outcome.node(node, life));
        drop(machine);
        result?;
        self.power(node)
    }

    fn switch_on(&self, node: &str, by: &str) -> Result<Answer, LabError> {
        let kept = by != "operator" && locked(self.machine(node)?).keep_off;
        if kept {
            return said(format!("{node} is kept off by the operator of the lab"));
        }
        self.on(node)?;
        self.power(node)
    }

    fn on(&self, node: &str) -> Result<(), LabError> {
        let mut machine = locked(self.machine(node)?);
        let before = machine.life();
        let result = machine.on(&self.layout, &self.spec);
        if machine.life() != before {
            let event = if result.is_ok() {
                "boot"
            } else {
                "boot-failed"
            };
            let reason = result
                .as_ref()
                .err()
                .map(ToString::to_string)
                .unwrap_or_default();
            self.log(Event::now(event).node(node, machine.life()).detail(reason));
        }
        result
    }

    fn kill(&self, node: &str) -> Result<(), LabError> {
        let mut machine = locked(self.machine(node)?);
        self.log(
            Event::now("crash")
                .node(node, machine.life())
                .detail("SIGKILL for everything on it"),
        );
        machine.kill()?;
        self.log(
            Event::now("crashed")
                .node(node, machine.life())
                .detail("no process is left"),
        );
        Ok(())
    }

    fn silence(&self, node: &str) -> Result<(), LabError> {
        let mut machine = locked(self.machine(node)?);
        self.log(
            Event::now("silence")
                .node(node, machine.life())
                .detail("its links are dead, then everything on it"),
        );
        machine.silence(&self.spec)?;
        self.log(
            Event::now("crashed")
                .node(node, machine.life())
                .detail("no process is left"),
        );
        Ok(())
    }

    fn cut(&self, from: &str, to: &str, both: bool, link: Option<usize>) -> Result<(), LabError> {
        self.spec.number(from)?;
        self.spec.number(to)?;
        if link.is_some_and(|l| l >= self.spec.links) {
            return said(format!(
                "this lab's links are numbered 0 to {}",
                self.spec.links.saturating_sub(1)
            ));
        }
        let mut cuts = locked(&self.cuts);
        let mut wanted = cuts.clone();
        for link in (0..self.spec.links).filter(|l| link.is_none_or(|only| only == *l)) {
            wanted.insert(Cut {
                from: from.into(),
                to: to.into(),
                link,
            });
            if both {
                wanted.insert(Cut {
                    from: to.into(),
                    to: from.into(),
                    link,
                });
            }
        }
        network::drop_only(&self.spec, &wanted)?;
        *cuts = wanted;
        let arrow = if both { "<->" } else { "->" };
        self.log(Event::now("cut").detail(format!("{from} {arrow} {to}")));
        Ok(())
    }

    fn heal(&self) -> Result<(), LabError> {
        let mut cuts = locked(&self.cuts);
        if !cuts.is_empty() {
            network::drop_only(&self.spec, &BTreeSet::new())?;
            cuts.clear();
        }
        self.log(Event::now("heal"));
        Ok(())
    }

    fn describe(&self) -> Answer {
        let machines = self
            .machines
            .values()
            .map(|m| locked(m).describe(&self.spec))
            .collect();
        let cuts = locked(&self.cuts)
            .iter()
            .map(|c| format!("{} -> {} (link {})", c.from, c.to, c.link))
            .collect();
        Answer {
            ok: true,
            machines: Some(machines),
            cuts: Some(cuts),
            ..Answer::default()
        }
    }

    fn tick_for_ever(&self) {
        loop {
            thread::sleep(TICK);
            for (name, machine) in &self.machines {
                if let Err(e) = locked(machine).tick(&self.spec) {
                    eprintln!("lab: the network of {name} could not be removed: {e}");
                }
            }
        }
    }

    fn log(&self, event: Event) {
        let file = self.layout.events();
        if let Err(e) = event.append(&file) {
            eprintln!("lab: {}: {e}", file.display());
        }
    }
}

/// What a fencing device may ask for.
fn for_nodes(ask: &Ask) -> bool {
    matches!(
        ask,
        Ask::Off { .. } | Ask::On { .. } | Ask::Status { .. } | Ask::List
    )
}
