//! Plays the files of `testdata/`: events, and after each the commands that come of it (lines with `>`).
//! `UPDATE_EXPECT=1` rewrites them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a driver of tests")]

use std::{fmt::Write, fs, path::Path};
use stonithd_core::*;

#[test]
fn all() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testdata");
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 8, "{files:?}");
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        expect_test::expect_file![&file].assert_eq(&play(&text));
    }
}

struct Player {
    fencer: Fencer,
    now: Now,
}

fn play(text: &str) -> String {
    let mut player = Player {
        fencer: Fencer::new("n1", Settings::default()),
        now: Now::default(),
    };
    let mut out = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.starts_with('>') {
            continue;
        }
        writeln!(out, "{line}").unwrap();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut body = String::new();
        if line == "resources" {
            for line in lines.by_ref() {
                writeln!(out, "{line}").unwrap();
                if line == "end" {
                    break;
                }
                body.push_str(line);
            }
        }
        out.push_str(&player.event(line, &body));
    }
    out
}

impl Player {
    fn event(&mut self, line: &str, body: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| words[at].parse::<u64>().unwrap();
        let rest = |at: usize| words[at..].join(" ");
        let input = match words[0] {
            "resources" => Input::Configuration(document(body)),
            "at" => {
                self.now.mono_ms = number(1);
                self.now.wall_s = 1_000 + self.now.mono_ms as i64 / 1_000;
                Input::Tick
            }
            "wake" => {
                let due = self.fencer.poll_timeout().unwrap();
                self.now.mono_ms = self.now.mono_ms.max(due);
                self.fencer.handle(self.now, Input::Tick);
                let commands = self.commands();
                return format!("> at {}\n{commands}", self.now.mono_ms);
            }
            "request" => Input::Request {
                client: number(1),
                request: request(&words[2..]),
            },
            "called" => Input::Called {
                run: number(1),
                result: match words[2] {
                    "done" => CallResult::Done,
                    "on" => CallResult::Status(Power::On),
                    "off" => CallResult::Status(Power::Off),
                    "unsupported" => CallResult::Unsupported,
                    "targets" => {
                        CallResult::Targets(words[3..].iter().map(|w| (*w).to_owned()).collect())
                    }
                    "failed" => CallResult::Failed(rest(3)),
                    other => panic!("{other}"),
                },
            },
            "offer" => Input::Offered {
                ask: number(1),
                offer: Offer {
                    node: words[2].to_owned(),
                    devices: words[3..].iter().map(|w| (*w).to_owned()).collect(),
                },
            },
            "ask-ended" => Input::AskEnded { ask: number(1) },
            "relayed" => Input::Relayed {
                relay: number(1),
                result: match words[2] {
                    "done" => Ok(Reply {
                        result: Ok(Grade::from_name(words[3]).unwrap()),
                        device: words[4].to_owned(),
                        by_node: words[5].to_owned(),
                        elapsed_ms: 0,
                    }),
                    _ => Err(rest(3)),
                },
            },
            "term" => Input::TermSeen(number(1)),
            "life" => Input::LifeSeen {
                node: words[1].to_owned(),
                number: number(2),
            },
            "history" => {
                let lines = self.fencer.history().map(|e| {
                    let result = match &e.state {
                        HistoryState::Done(grade) => grade.name(),
                        other => other.name(),
                    };
                    format!(
                        "> {} {} {} {result} by '{}' of '{}' at {} {}\n",
                        e.intent, e.action, e.target, e.device, e.by_node, e.at_s, e.reason
                    )
                });
                return lines.collect();
            }
            "can" => {
                let ids: Vec<&str> = self
                    .fencer
                    .can(words[1])
                    .iter()
                    .map(|d| d.id.as_str())
                    .collect();
                return format!("> {}\n", ids.join(" "));
            }
            other => panic!("unknown event {other}"),
        };
        self.fencer.handle(self.now, input);
        self.commands()
    }

    fn commands(&mut self) -> String {
        let mut out = String::new();
        while let Some(command) = self.fencer.poll_command() {
            let line = match command {
                Command::Call { run, call } => format!(
                    "call {run}: {} {} {} port={} within {} ms",
                    call.device, call.action, call.target, call.port, call.timeout_ms
                ),
                Command::Ask { ask, target, .. } => format!("ask {ask}: who can fence {target}"),
                Command::Relay { relay, order } => format!(
                    "relay {relay}: {} to {} with '{}' within {} ms, intent {}",
                    order.request.action,
                    order.to,
                    order.request.device,
                    order.request.timeout_ms,
                    order.request.intent
                ),
                Command::Reply { client, reply } => match reply.result {
                    Ok(grade) => format!(
                        "reply {client}: {} by {} of {} after {} ms",
                        grade.name(),
                        reply.device,
                        reply.by_node,
                        reply.elapsed_ms
                    ),
                    Err(reason) => format!("reply {client}: failed: {reason}"),
                },
                Command::Log { severity, text } => format!("{severity:?}: {text}"),
            };
            writeln!(out, "> {line}").unwrap();
        }
        out
    }
}

fn request(words: &[&str]) -> Request {
    let mut request = Request {
        origin: "test".to_owned(),
        timeout_ms: 60_000,
        term: 1,
        life_number: 1,
        ..Request::default()
    };
    for word in words {
        let (name, value) = word.split_once('=').unwrap_or((word, "1"));
        let number = || value.parse::<u64>().unwrap();
        match name {
            "intent" => request.intent = value.to_owned(),
            "target" => request.target = value.to_owned(),
            "action" => request.action = value.to_owned(),
            "device" => request.device = value.to_owned(),
            "life" => request.life_number = number(),
            "timeout" => request.timeout_ms = number(),
            "delay" => request.delay_ms = number(),
            "term" => request.term = number(),
            "random" => request.random = number(),
            "relayed" => request.relayed = true,
            other => panic!("{other}"),
        }
    }
    request
}

/// The inside of `<configuration>`.
fn document(body: &str) -> cib::Element {
    let text = format!("<cib><configuration>{body}</configuration></cib>");
    cib::Element::parse(&text).unwrap()
}
