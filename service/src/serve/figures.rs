//! What is counted: for Prometheus at `/metrics`, and for OTLP where a collector is named.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter, MeterProvider};
use opentelemetry_sdk::metrics::SdkMeterProvider;

use super::service::Service;

/// Upper bounds in seconds, of waits and of work.
const SECONDS: [f64; 10] = [0.005, 0.02, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0];
/// Upper bounds of answers that are stepped together.
const TOGETHER: [f64; 5] = [1.0, 2.0, 4.0, 8.0, 16.0];

/// All figures.
#[derive(Default)]
pub struct Figures {
    counts: Mutex<Counts>,
    sent: OnceLock<Sent>,
    service: OnceLock<Weak<Service>>,
}

#[derive(Default)]
struct Counts {
    /// By task and outcome.
    requests: BTreeMap<(String, String), u64>,
    errors: BTreeMap<String, u64>,
    tokens: u64,
    /// Looked up, and found.
    cached: (u64, u64),
    queue_wait: Spread,
    work: Spread,
    batch: Spread,
}

/// A histogram.
#[derive(Default)]
struct Spread {
    bins: Vec<u64>,
    sum: f64,
    count: u64,
}

impl Spread {
    fn add(&mut self, value: f64, bounds: &[f64]) {
        self.bins.resize(bounds.len(), 0);
        let bins = self.bins.iter_mut().zip(bounds).filter(|(_, bound)| value <= **bound);
        bins.for_each(|(bin, _)| *bin += 1);
        self.sum += value;
        self.count += 1;
    }
}

/// Instruments of OTLP.
struct Sent {
    requests: Counter<u64>,
    errors: Counter<u64>,
    tokens: Counter<u64>,
    queue_wait: Histogram<f64>,
    work: Histogram<f64>,
    batch_size: Histogram<f64>,
}

/// What became of a piece of work.
pub struct Done<'a> {
    /// Of the wire.
    pub task: &'static str,
    /// Kind of its failure, or nothing.
    pub error: Option<&'a str>,
    /// Tokens that were made.
    pub tokens: u64,
    /// How long it was under way; 0 if it never was.
    pub took: Duration,
    /// How many answers were stepped together meanwhile, on average; 0 for none.
    pub together: f64,
}

impl Figures {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends figures too, and watches what a service does.
    pub fn watch(&self, service: &Arc<Service>, provider: Option<&SdkMeterProvider>) {
        let _ = self.service.set(Arc::downgrade(service));
        let Some(provider) = provider else { return };
        let meter = provider.meter("continuo");
        let seconds =
            |name| meter.f64_histogram(name).with_unit("s").with_boundaries(SECONDS.to_vec()).build();
        let _ = self.sent.set(Sent {
            requests: meter.u64_counter("requests").build(),
            errors: meter.u64_counter("errors").build(),
            tokens: meter.u64_counter("tokens").build(),
            queue_wait: seconds("queue_wait"),
            work: seconds("work"),
            batch_size: meter.f64_histogram("batch_size").with_boundaries(TOGETHER.to_vec()).build(),
        });
        gauges(&meter, service);
    }

    /// A piece of work waited so long.
    pub fn waited(&self, wait: Duration) {
        self.counts().queue_wait.add(wait.as_secs_f64(), &SECONDS);
        if let Some(sent) = self.sent.get() {
            sent.queue_wait.record(wait.as_secs_f64(), &[]);
        }
    }

    /// A piece of work is over.
    pub fn done(&self, done: &Done<'_>) {
        let outcome = if done.error.is_some() { "error" } else { "success" };
        let mut counts = self.counts();
        *counts.requests.entry((done.task.into(), outcome.into())).or_default() += 1;
        if let Some(kind) = done.error {
            *counts.errors.entry(kind.into()).or_default() += 1;
        }
        counts.tokens += done.tokens;
        if !done.took.is_zero() {
            counts.work.add(done.took.as_secs_f64(), &SECONDS);
        }
        if done.together > 0.0 {
            counts.batch.add(done.together, &TOGETHER);
        }
        drop(counts);
        let Some(sent) = self.sent.get() else { return };
        let task = KeyValue::new("task", done.task);
        sent.requests.add(1, &[task.clone(), KeyValue::new("outcome", outcome)]);
        if let Some(kind) = done.error {
            sent.errors.add(1, &[KeyValue::new("type", kind.to_owned())]);
        }
        sent.tokens.add(done.tokens, std::slice::from_ref(&task));
        if !done.took.is_zero() {
            sent.work.record(done.took.as_secs_f64(), &[task]);
        }
        if done.together > 0.0 {
            sent.batch_size.record(done.together, &[]);
        }
    }

    /// Something failed that is no piece of work, or never became one.
    pub fn failed(&self, kind: &'static str) {
        *self.counts().errors.entry(kind.into()).or_default() += 1;
        if let Some(sent) = self.sent.get() {
            sent.errors.add(1, &[KeyValue::new("type", kind)]);
        }
    }

    /// An analysis was looked up, and found or not.
    pub fn looked_up(&self, found: bool) {
        let mut counts = self.counts();
        counts.cached.0 += 1;
        counts.cached.1 += u64::from(found);
    }

    /// All of them, as Prometheus reads them.
    pub fn text(&self, service: &Service) -> String {
        let counts = self.counts();
        let mut page = Page::default();
        page.head("continuo_requests_total", "counter", "pieces of work that are over");
        for ((task, outcome), count) in &counts.requests {
            page.line(&format!("continuo_requests_total{{task=\"{task}\",outcome=\"{outcome}\"}}"), *count);
        }
        page.head("continuo_errors_total", "counter", "failures by kind");
        for (kind, count) in &counts.errors {
            page.line(&format!("continuo_errors_total{{type=\"{kind}\"}}"), *count);
        }
        page.one("continuo_tokens_total", "counter", "tokens of new music", counts.tokens);
        page.head("continuo_analysis_lookups_total", "counter", "analyses asked for");
        let (all, found) = counts.cached;
        page.line("continuo_analysis_lookups_total{result=\"hit\"}", found);
        page.line("continuo_analysis_lookups_total{result=\"miss\"}", all - found);
        page.spread("continuo_queue_wait_seconds", "time in the queue", &counts.queue_wait, &SECONDS);
        page.spread("continuo_work_seconds", "time under way", &counts.work, &SECONDS);
        page.spread("continuo_batch_size", "answers stepped together", &counts.batch, &TOGETHER);
        drop(counts);
        let (waiting, running) = service.queue.depth();
        page.one("continuo_queue_waiting", "gauge", "pieces of work that wait", waiting);
        page.one("continuo_queue_running", "gauge", "pieces of work under way", running);
        let busy = service.shelf.busy().values().sum::<Duration>().as_secs_f64();
        page.one("continuo_engine_busy_seconds_total", "counter", "time that models computed", busy);
        if let Some(bytes) = super::stop::memory("VmRSS:") {
            page.one("process_resident_memory_bytes", "gauge", "memory in use", bytes);
        }
        page.0
    }
}

/// What is looked at when it is sent.
fn gauges(meter: &Meter, service: &Arc<Service>) {
    let weak = Arc::downgrade(service);
    let queue = meter.u64_observable_gauge("queue_depth").with_callback(move |observer| {
        if let Some(service) = weak.upgrade() {
            observer.observe(service.queue.depth().0 as u64, &[]);
        }
    });
    queue.build();
    let weak = Arc::downgrade(service);
    let last = Mutex::new((std::time::Instant::now(), BTreeMap::new()));
    // The share of the time since the last look that models computed, on whatever they compute on.
    let busy = meter.f64_observable_gauge("gpu_busy").with_callback(move |observer| {
        let Some(service) = weak.upgrade() else { return };
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, busy) = (std::time::Instant::now(), service.shelf.busy());
        let passed = (now - last.0).as_secs_f64().max(1e-9);
        for (device, all) in &busy {
            let before = last.1.get(device).copied().unwrap_or_default();
            let share = all.saturating_sub(before).as_secs_f64() / passed;
            observer.observe(share.min(1.0), &[KeyValue::new("device", *device)]);
        }
        *last = (now, busy);
    });
    busy.build();
}

/// Text that Prometheus reads.
#[derive(Default)]
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.0, "{name} {value}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
        self.head(name, kind, help);
        self.line(name, value);
    }

    fn spread(&mut self, name: &str, help: &str, spread: &Spread, bounds: &[f64]) {
        self.head(name, "histogram", help);
        for (index, bound) in bounds.iter().enumerate() {
            let count = spread.bins.get(index).copied().unwrap_or(0);
            self.line(&format!("{name}_bucket{{le=\"{bound}\"}}"), count);
        }
        self.line(&format!("{name}_bucket{{le=\"+Inf\"}}"), spread.count);
        self.line(&format!("{name}_sum"), spread.sum);
        self.line(&format!("{name}_count"), spread.count);
    }
}
