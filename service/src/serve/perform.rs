//! From a sound request to its answer: what a worker thread does.

use std::panic::{AssertUnwindSafe, catch_unwind};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use continuo_remote::wire::{
    Facts, Include, Metadata, Prediction, Progress, SERVICE, Task, Trace, Variation,
};

use super::ask::{Ask, derive};
use super::caller::Name;
use super::failure::Failure;
use super::life::Life;
use super::play::{TOKENS, Word, play};
use super::service::{Service, defect};
use super::shelf::Chosen;
use super::tasks::page::Sheet;
use super::tasks::{Plan, embedding, facts, plan};

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
}

impl Errand {
    /// Does it. A defect is a failure too, so that it is told.
    pub fn perform(&self, service: &Service, life: &Life, say: Say<'_>) -> Result<Prediction, Failure> {
        catch_unwind(AssertUnwindSafe(|| self.attempt(service, life, say))).unwrap_or_else(|_| Err(defect()))
    }

    fn attempt(&self, service: &Service, life: &Life, say: Say<'_>) -> Result<Prediction, Failure> {
        if self.ask.task == Task::Classify {
            let text = "no classifier is configured, so task classify cannot be done";
            return Err(Failure::unavailable(text).suggest("GET /models lists what can be done"));
        }
        life.check()?;
        let chosen = service.shelf.choose(self.ask.size)?;
        let mut prediction = match self.ask.task {
            Task::Embed => self.embed(&chosen)?,
            _ => self.music(service, &chosen, life, say)?,
        };
        self.sign(&mut prediction, &chosen);
        Ok(prediction)
    }

    fn embed(&self, chosen: &Chosen) -> Result<Prediction, Failure> {
        let found = embedding::embed(&self.ask, chosen.engine.model())?;
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
        let all = play(&chosen.engine, &plan, (self.ask.variations, self.ask.notes), life, &mut tell)?;
        let mut prediction = Prediction { prime_seconds: plan.prime, ..Prediction::default() };
        for (id, events) in all.iter().enumerate() {
            let sheet = plan.page.sheet(events);
            prediction.variations.push(self.variation(service, &plan, id as u64, events.len(), sheet));
        }
        prediction.metadata.warnings.clone_from(&plan.warnings);
        prediction.metadata.unsupported_constraints.clone_from(&plan.unsupported);
        super::measure::missed(&self.ask, &plan, &all, &mut prediction.metadata.warnings);
        self.top(&mut prediction);
        Ok(prediction)
    }

    /// A variation, its file in the store before anyone hears of its hash.
    fn variation(&self, service: &Service, plan: &Plan, id: u64, new: usize, sheet: Sheet) -> Variation {
        let facts = facts::facts(&plan.page.song, &sheet.notes);
        let wants = |what| self.ask.include.contains(&what);
        let midi = wants(Include::Midi).then(|| STANDARD.encode(&sheet.bytes));
        let hash = service.store.put(sheet.bytes);
        // The length decides, unless the count of tokens did.
        let cut = self.ask.notes.is_some_and(|most| new >= most);
        let seconds = if cut { facts.duration_seconds.unwrap_or(0.0) } else { plan.seconds };
        Variation {
            variation_id: id,
            seed: derive(self.ask.sampling.seed, id),
            midi_base64: midi,
            output_hash: wants(Include::Hash).then_some(hash),
            tokens: (TOKENS * new) as u64,
            num_tokens: (TOKENS * new) as u64,
            num_events: (TOKENS * sheet.notes.len()) as u64,
            num_notes: sheet.notes.len() as u64,
            duration_seconds: seconds,
            analysis: wants(Include::Analysis).then_some(facts),
        }
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
        let trace = Trace {
            client_job_id: self.name.name.clone(),
            service: SERVICE.into(),
            model_size: Some(chosen.size.into()),
            request_id: self.request_id.clone(),
            ..Trace::default()
        };
        prediction.status = "success".into();
        prediction.task = self.ask.task;
        prediction.meta = trace.clone();
        let facts: Facts = std::mem::take(&mut prediction.metadata.facts);
        let own = std::mem::take(&mut prediction.metadata.warnings);
        let unsupported = std::mem::take(&mut prediction.metadata.unsupported_constraints);
        let said = [self.name.warning.clone(), chosen.warning.clone()];
        let warnings = said.into_iter().flatten().chain(self.ask.warnings.iter().cloned()).chain(own);
        prediction.metadata = Metadata {
            trace,
            model: Some(chosen.engine.model().name().into()),
            warnings: warnings.collect(),
            unsupported_constraints: unsupported,
            facts,
        };
    }
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
