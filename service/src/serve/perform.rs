//! From a sound request to its answer: what a worker thread does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use continuo_inference::Model;
use continuo_remote::wire::{
    Facts, Include, Metadata, Prediction, Progress, SERVICE, Task, Trace, Variation,
};
use serde_json::json;

use super::ask::{Ask, derive};
use super::caller::{Name, number};
use super::failure::Failure;
use super::figures::Done;
use super::ledger::New;
use super::life::Life;
use super::log;
use super::play::{TOKENS, Word, play};
use super::service::{Service, defect};
use super::shelf::Chosen;
use super::tasks::page::Sheet;
use super::tasks::{Plan, embedding, facts, plan};
use super::telemetry::Span;

/// Where words of progress go.
pub type Say<'a> = &'a mut dyn FnMut(Progress);

/// A request on its way.
pub struct Errand {
    /// What is asked.
    pub ask: Ask,
    /// The caller's name for it.
    pub name: Name,
    /// Number of the request.
    pub request_id: String,
    /// What is told of it to whoever traces; it ends with the errand.
    pub span: Mutex<Span>,
    /// Hash of the first answer, once it is stored.
    pub first: OnceLock<String>,
}

impl Errand {
    /// Does it. A defect is a failure too, so that it is told.
    pub fn perform(&self, service: &Service, life: &Life, say: Say<'_>) -> Result<Prediction, Failure> {
        let began = Instant::now();
        let done = catch_unwind(AssertUnwindSafe(|| self.attempt(service, life, say)));
        let done = done.unwrap_or_else(|_| Err(defect()));
        self.tell(service, life, began.elapsed(), &done);
        done.map_err(|failure| Failure { counted: true, ..failure })
    }

    /// Tells that the queue would not take it.
    pub fn refused(&self, service: &Service, life: &Life, failure: Failure) -> Failure {
        self.tell(service, life, Duration::ZERO, &Err(failure.clone()));
        Failure { counted: true, ..failure }
    }

    /// Says what became of it to those who count and trace.
    fn tell(&self, service: &Service, life: &Life, took: Duration, done: &Result<Prediction, Failure>) {
        let tokens = life.tokens.load(Ordering::Relaxed);
        let error = done.as_ref().err();
        let kind = error.map(|failure| if failure.cancelled { "cancelled" } else { failure.kind.name() });
        let together = f64::from_bits(life.together.load(Ordering::Relaxed));
        let task = self.ask.task.name();
        service.figures.done(&Done { task, error: kind, tokens, took, together });
        let mut span = self.span.lock().unwrap_or_else(PoisonError::into_inner);
        span.set("tokens", i64::try_from(tokens).unwrap_or(i64::MAX));
        if let Ok(prediction) = done {
            span.set("model_size", prediction.meta.model_size.clone().unwrap_or_default());
        }
        if let (Some(kind), Some(failure)) = (kind, error) {
            span.fail(kind, &failure.message);
        }
        let fields = [
            ("task", json!(task)),
            ("request_id", json!(self.request_id)),
            ("trace_id", json!(span.ids().0)),
            ("client_job_id", json!(self.name.name)),
            ("tokens", json!(tokens)),
            ("seconds", json!((took.as_secs_f64() * 1000.0).round() / 1000.0)),
            ("error", json!(kind)),
            ("message", json!(error.map(|failure| &failure.message))),
        ];
        log::say(if kind.is_some() { "warn" } else { "info" }, "work", &fields);
    }

    fn attempt(&self, service: &Service, life: &Life, say: Say<'_>) -> Result<Prediction, Failure> {
        life.check()?;
        if self.ask.task == Task::Classify {
            let text = "no classifier is configured, so task classify cannot be done";
            return Err(Failure::unavailable(text).suggest("GET /models lists what can be done"));
        }
        let chosen = service.shelf.choose(self.ask.size, life)?;
        let mut prediction = match self.ask.task {
            Task::Embed => {
                let model = service.shelf.exact(&chosen, life)?;
                self.embed(&model)?
            }
            _ => self.music(service, &chosen, life, say)?,
        };
        self.sign(&mut prediction, &chosen);
        Ok(prediction)
    }

    fn embed(&self, model: &Model) -> Result<Prediction, Failure> {
        let found = embedding::embed(&self.ask, model)?;
        Ok(Prediction {
            embedding_dim: Some(found.vector.len() as u64),
            embeddings: Some(found.vector.clone()),
            embedding: Some(found.vector),
            layer: Some(self.ask.layer),
            num_tokens: Some(found.used as u64),
            original_tokens: Some(found.all as u64),
            truncated: Some(found.used < found.all),
            ..Prediction::default()
        })
    }

    fn music(
        &self,
        service: &Service,
        chosen: &Chosen,
        life: &Life,
        say: Say<'_>,
    ) -> Result<Prediction, Failure> {
        let plan = plan(&self.ask, chosen.engine.model())?;
        let mut tell = |word: &Word<'_>| say(word_of(&plan, word));
        let before = steps(chosen);
        let all = play(&chosen.engine, &plan, (self.ask.variations, self.ask.most_notes()), life, &mut tell);
        let after = steps(chosen);
        let together = (after.1 - before.1) / (after.0 - before.0).max(1.0);
        life.together.store(together.to_bits(), Ordering::Relaxed);
        let all = all?;
        let mut prediction = Prediction { prime_seconds: plan.prime, ..Prediction::default() };
        let (mut artifacts, mut missed) = (Vec::new(), Vec::new());
        for (id, events) in all.iter().enumerate() {
            let sheet = plan.page.sheet(events);
            missed.extend(super::measure::missed(&self.ask, &plan, &sheet, id));
            let (variation, artifact) =
                self.variation(service, (&plan, chosen), (id as u64, events.len()), sheet)?;
            prediction.variations.push(variation);
            artifacts.push(artifact);
        }
        self.keep(service, artifacts, &mut prediction)?;
        prediction.metadata.warnings.clone_from(&plan.warnings);
        prediction.metadata.unsupported_constraints.clone_from(&plan.unsupported);
        prediction.metadata.warnings.extend(missed);
        self.top(&mut prediction);
        Ok(prediction)
    }

    /// A variation, its file in the store before anyone hears of its hash; and its artifact to be.
    fn variation(
        &self,
        service: &Service,
        (plan, chosen): (&Plan, &Chosen),
        (id, new): (u64, usize),
        sheet: Sheet,
    ) -> Result<(Variation, New), Failure> {
        let all = facts::facts(&plan.page.song, &sheet.notes);
        let length = all.duration_seconds.unwrap_or(0.0);
        let facts = facts::chosen(all, self.ask.facts.as_deref());
        let wants = |what| self.ask.include.contains(&what);
        let midi = wants(Include::Midi).then(|| STANDARD.encode(&sheet.bytes));
        let (hash, _) = service.store.put(sheet.bytes)?;
        self.first.get_or_init(|| hash.clone());
        // The length decides, unless the count of tokens did.
        let cut = new >= self.ask.most_notes();
        let seed = derive(self.ask.sampling.seed, id);
        let artifact = self.artifact(hash.clone(), seed, chosen, &facts);
        let variation = Variation {
            variation_id: id,
            seed,
            midi_base64: midi,
            output_hash: wants(Include::Hash).then_some(hash),
            artifact_id: None,
            tokens: (TOKENS * new) as u64,
            num_tokens: (TOKENS * new) as u64,
            num_events: (TOKENS * sheet.notes.len()) as u64,
            num_notes: sheet.notes.len() as u64,
            duration_seconds: if cut { length } else { plan.seconds },
            analysis: (wants(Include::Analysis) && facts != Facts::default()).then_some(facts),
        };
        Ok((variation, artifact))
    }

    /// What is kept about a variation.
    fn artifact(&self, hash: String, seed: u64, chosen: &Chosen, facts: &Facts) -> New {
        let ask = &self.ask;
        let mut metadata = match serde_json::to_value(facts) {
            Ok(serde_json::Value::Object(fields)) => fields,
            _ => serde_json::Map::new(),
        };
        let own = [
            ("task", json!(ask.task)),
            ("seed", json!(seed)),
            ("temperature", json!(ask.sampling.temperature)),
            ("top_p", json!(ask.sampling.top_p)),
            ("model", json!(chosen.engine.model().name())),
            ("model_size", json!(chosen.size)),
        ];
        metadata.extend(own.map(|(name, value)| (name.to_owned(), value)));
        let usual = ["type:midi".into(), "format:mid".into(), "phase:generation".into()];
        let tool = format!("tool:{}", ask.task.name());
        let tags = usual.into_iter().chain([tool]).chain(ask.artifact.tags.iter().cloned()).collect();
        New { content_hash: hash, metadata, tags, ..ask.artifact.clone() }
    }

    /// Writes the artifacts of all variations, or none.
    fn keep(&self, service: &Service, mut all: Vec<New>, prediction: &mut Prediction) -> Result<(), Failure> {
        let set = match &self.ask.artifact.variation_set_id {
            None if all.len() > 1 => Some(format!("set_{}", number())),
            given => given.clone(),
        };
        let source = match (&self.ask.artifact.parent_id, &self.ask.source) {
            (None, Some(hash)) => service.ledger.artifact_of(hash)?.map(|artifact| artifact.id),
            _ => None,
        };
        for new in &mut all {
            new.variation_set_id.clone_from(&set);
            new.parent_id = new.parent_id.take().or_else(|| source.clone());
        }
        let made = service.ledger.make(&all)?;
        for (variation, (artifact, _)) in prediction.variations.iter_mut().zip(made) {
            variation.artifact_id = Some(artifact.id);
        }
        prediction.metadata.variation_set_id = set;
        Ok(())
    }

    /// What stands at the top for the sake of clients that know of one variation.
    #[allow(clippy::cast_precision_loss)] // thousands
    fn top(&self, prediction: &mut Prediction) {
        let variations = &prediction.variations;
        let Some(first) = variations.first() else { return };
        let count = variations.len();
        let mean = variations.iter().map(|one| one.tokens).sum::<u64>() as f64 / count as f64;
        let plural = if count == 1 { "" } else { "s" };
        prediction.summary = Some(format!("Generated {count} variation{plural} (avg {mean:.0} tokens)"));
        prediction.output_hash.clone_from(&first.output_hash);
        prediction.tokens = Some(first.tokens);
        prediction.num_tokens = Some(first.tokens);
        prediction.midi_output.clone_from(&first.midi_base64);
        prediction.metadata.facts = first.analysis.clone().unwrap_or_default();
    }

    /// Who answered, and on whose behalf.
    fn sign(&self, prediction: &mut Prediction, chosen: &Chosen) {
        let (trace_id, span_id) = self.span.lock().unwrap_or_else(PoisonError::into_inner).ids();
        let trace = Trace {
            trace_id,
            span_id,
            client_job_id: self.name.name.clone(),
            service: SERVICE.into(),
            model_size: Some(chosen.size.into()),
            request_id: self.request_id.clone(),
        };
        prediction.status = "success".into();
        prediction.model_size = Some(chosen.size.into());
        prediction.task = self.ask.task;
        prediction.meta = trace.clone();
        let facts: Facts = std::mem::take(&mut prediction.metadata.facts);
        let variation_set_id = prediction.metadata.variation_set_id.take();
        let own = std::mem::take(&mut prediction.metadata.warnings);
        let unsupported = std::mem::take(&mut prediction.metadata.unsupported_constraints);
        let said = [self.name.warning.clone(), chosen.warning.clone()];
        let warnings = said.into_iter().flatten().chain(self.ask.warnings.iter().cloned()).chain(own);
        prediction.metadata = Metadata {
            trace,
            model: Some(chosen.engine.model().name().into()),
            variation_set_id,
            warnings: warnings.collect(),
            unsupported_constraints: unsupported,
            facts,
        };
    }
}

/// Steps that an engine has made, and tokens in them.
#[allow(clippy::cast_precision_loss)] // far below 2^52
fn steps(chosen: &Chosen) -> (f64, f64) {
    let work = chosen.engine.work();
    (work.steps.load(Ordering::Relaxed) as f64, work.tokens.load(Ordering::Relaxed) as f64)
}

/// A word of progress with the file so far.
fn word_of(plan: &Plan, word: &Word<'_>) -> Progress {
    Progress::Progress {
        tokens_so_far: word.tokens,
        percent: word.percent,
        variation_id: word.variation,
        midi_base64: STANDARD.encode(plan.page.sheet(word.events).bytes),
    }
}
