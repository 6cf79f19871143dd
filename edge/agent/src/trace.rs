//! Where the time of each request went: the last requests one by one, all of them as histograms.
use std::collections::VecDeque;
use std::fmt;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use vmux_broker::{ClientId, Denial, Ended, Event, Shown};
use vmux_proto::message::RequestId;

use crate::events::describe;
use crate::hub::Seen;

/// When a client's request was read, parsed, and looked into.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) read: Instant,
    pub(crate) parsed: Instant,
    pub(crate) looked: Instant,
}

/// One request for people and programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traced {
    /// Its id, 32 hexadecimal digits.
    pub request: String,
    /// One line for people, escaped.
    pub what: String,
    /// `signed` or the name of the denial; none while it waits.
    pub outcome: Option<String>,
    /// The stages it went through, in order.
    pub stages: Vec<Stage>,
}

/// A stage and how long it took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// `socket`, `checks`, `record`, `relay`, `person`, `signature`, `return`.
    pub stage: String,
    /// Microseconds.
    pub micros: u64,
}

#[derive(Debug)]
struct Trace {
    id: RequestId,
    client: ClientId,
    what: String,
    outcome: Option<&'static str>,
    stages: Vec<(&'static str, u64)>,
    /// The end of the last stage.
    last: Instant,
}

/// The last requests, and the sums of all.
#[derive(Debug)]
pub(crate) struct Traces {
    recent: VecDeque<Trace>,
    registry: Registry,
    stages: Family<Vec<(&'static str, &'static str)>, Histogram>,
    outcomes: Family<Vec<(&'static str, &'static str)>, Counter>,
    waiting: Gauge,
    phones: Gauge,
    log_lines: Gauge,
    log_failing: Gauge,
}

impl Traces {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("vmux_agent");
        let made: fn() -> Histogram = buckets;
        let stages = Family::new_with_constructor(made);
        let help = "Time that sign requests spent in each stage";
        registry.register_with_unit("stage", help, Unit::Seconds, stages.clone());
        let outcomes = Family::default();
        registry.register("requests", "Sign requests by outcome", outcomes.clone());
        let mut gauge = |name, help| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let (waiting, phones) = (
            gauge("waiting", "Requests that wait"),
            gauge("phones_connected", "Phones that are connected"),
        );
        let log_lines = gauge("log_lines", "Lines of the log");
        let log_failing = gauge("log_failing", "Whether the log cannot be written");
        Self {
            recent: VecDeque::new(),
            registry,
            stages,
            outcomes,
            waiting,
            phones,
            log_lines,
            log_failing,
        }
    }

    /// Takes note of an event; `times` are those of its client, if it is there.
    pub(crate) fn note(&mut self, event: &Event, times: Option<Times>) {
        match event {
            Event::Asked(shown) => self.begin(shown, times),
            Event::Sent(shown) => self.stage(shown.waiting.id, "record"),
            Event::Received(shown) => self.stage(shown.waiting.id, "relay"),
            Event::Approved(shown) => self.stage(shown.waiting.id, "person"),
            Event::Ended(shown, ended) => self.end(shown, *ended),
            Event::Refused(_, denial) => self.count(denial.name()),
            Event::Number(..)
            | Event::Connected(..)
            | Event::Away(..)
            | Event::Paired(..)
            | Event::Unpaired(..)
            | Event::Identities(..)
            | Event::Locking(_)
            | Event::Questioned(..) => {}
        }
    }

    /// The client has its answer.
    pub(crate) fn returned(&mut self, client: ClientId) {
        let mut recent = self.recent.iter().rev();
        let ended = recent.find(|trace| trace.client == client && trace.outcome.is_some());
        if let Some(id) = ended.map(|trace| trace.id) {
            self.stage(id, "return");
        }
    }

    /// The last requests whose ids begin so, newest last.
    pub(crate) fn list(&self, id: &str) -> Vec<Traced> {
        let all = self.recent.iter().map(|trace| Traced {
            request: format!("{:032x}", u128::from_be_bytes(trace.id.0)),
            what: trace.what.clone(),
            outcome: trace.outcome.map(str::to_owned),
            stages: trace
                .stages
                .iter()
                .map(|(stage, micros)| Stage {
                    stage: (*stage).to_owned(),
                    micros: *micros,
                })
                .collect(),
        });
        all.filter(|trace| trace.request.starts_with(id)).collect()
    }

    /// All numbers, as Prometheus reads them.
    pub(crate) fn metrics(&self, seen: &Seen) -> Result<String, fmt::Error> {
        let status = &seen.status;
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let phones = status.phones.iter();
        let connected = phones.filter(|phone| phone.reach == vmux_broker::Reach::Connected);
        self.waiting.set(number(status.waiting.len()));
        self.phones.set(number(connected.count()));
        self.log_lines
            .set(i64::try_from(status.log.lines).unwrap_or(i64::MAX));
        self.log_failing.set(i64::from(status.log_failing));
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    fn begin(&mut self, shown: &Shown, times: Option<Times>) {
        if self.recent.len() >= MAX_TRACES {
            self.recent.pop_front();
        }
        let now = Instant::now();
        let times = times.unwrap_or(Times {
            read: now,
            parsed: now,
            looked: now,
        });
        self.recent.push_back(Trace {
            id: shown.waiting.id,
            client: shown.client,
            what: describe(&shown.waiting),
            outcome: None,
            stages: Vec::new(),
            last: times.read,
        });
        self.stage_until(shown.waiting.id, "socket", times.parsed);
        self.stage_until(shown.waiting.id, "checks", times.looked);
    }

    fn end(&mut self, shown: &Shown, ended: Ended) {
        let outcome = match ended {
            Ended::Signed => "signed",
            Ended::Denied(denial) => denial.name(),
        };
        let person = matches!(ended, Ended::Denied(Denial::Phone(_) | Denial::TimedOut));
        let stage = if person { "person" } else { "signature" };
        self.stage(shown.waiting.id, stage);
        if let Some(trace) = self.find(shown.waiting.id) {
            trace.outcome = Some(outcome);
            trace.client = shown.client;
        }
        self.count(outcome);
    }

    fn count(&self, outcome: &'static str) {
        self.outcomes
            .get_or_create(&vec![("outcome", outcome)])
            .inc();
    }

    fn stage(&mut self, id: RequestId, stage: &'static str) {
        self.stage_until(id, stage, Instant::now());
    }

    /// A stage counts once: a request that several clients share goes through it once.
    fn stage_until(&mut self, id: RequestId, stage: &'static str, until: Instant) {
        let Some(trace) = self.find(id) else { return };
        if trace.stages.iter().any(|(known, _)| *known == stage) {
            return;
        }
        let took = until.saturating_duration_since(trace.last);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        trace.stages.push((stage, micros));
        trace.last = until;
        self.stages
            .get_or_create(&vec![("stage", stage)])
            .observe(took.as_secs_f64());
    }

    fn find(&mut self, id: RequestId) -> Option<&mut Trace> {
        self.recent.iter_mut().rev().find(|trace| trace.id == id)
    }
}

/// From 10 µs to 84 s.
fn buckets() -> Histogram {
    Histogram::new(exponential_buckets(0.000_01, 4.0, 12).chain([60.0, 100.0]))
}

/// Requests that are remembered one by one.
const MAX_TRACES: usize = 256;
