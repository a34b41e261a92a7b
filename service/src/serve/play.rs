//! Makes the notes of all variations at once, on the engine that all requests share.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::StatusCode;
use continuo_inference::{Answer, Engine, Event, Prompt, Step};
use serde_json::json;

use super::ask::derive;
use super::failure::Failure;
use super::life::Life;
use super::tasks::Plan;

/// Tokens of a note.
pub const TOKENS: usize = 3;
/// Notes between two words of progress, of one variation or of all: at most 128 tokens.
const NOTES_A_WORD: usize = 42;
/// How long a cancelled or overdue request is at most worked on while the engine computes a prompt.
const LOOK: Duration = Duration::from_millis(20);

/// How far it is.
pub struct Word<'a> {
    /// The variation that grew.
    pub variation: u64,
    /// It, so far.
    pub events: &'a [Event],
    /// Tokens of all variations.
    pub tokens: u64,
    /// 0 to 100.
    pub percent: u64,
}

/// One variation under way.
struct Voice {
    answer: Option<Answer>,
    prompt: Prompt,
    events: Vec<Event>,
    told: usize,
}

/// Everything that is played for one request.
struct Play<'a> {
    engine: &'a Engine,
    plan: &'a Plan,
    /// Most notes of a variation.
    most: usize,
    voices: Vec<Voice>,
    percent: u64,
    /// Tokens of all voices at the last word.
    told: u64,
}

/// The notes of `count` variations, at most so many each. `say` hears of each, and of all together, at least every 128 tokens.
pub fn play(
    engine: &Engine,
    plan: &Plan,
    (count, most): (u64, usize),
    life: &Life,
    say: &mut dyn FnMut(&Word<'_>),
) -> Result<Vec<Vec<Event>>, Failure> {
    if most == 0 {
        let failure = nothing(plan, 0).suggest("a note is three tokens: ask for more max_tokens");
        return Err(Failure { status: StatusCode::UNPROCESSABLE_ENTITY, ..failure });
    }
    let mut play = Play {
        engine,
        plan,
        most,
        voices: (0..count).map(|k| Voice::new(engine, plan, k)).collect(),
        percent: 0,
        told: 0,
    };
    while play.voices.iter().any(|voice| voice.answer.is_some()) {
        life.check()?;
        if !play.round(life, say)? {
            play.wait(life, say)?;
        }
    }
    let all: Vec<_> = play.voices.into_iter().map(|voice| voice.events).collect();
    match all.iter().position(Vec::is_empty) {
        Some(variation) => Err(nothing(plan, variation)),
        None => Ok(all),
    }
}

fn nothing(plan: &Plan, variation: usize) -> Failure {
    Failure::failed("the model played nothing")
        .with(json!({ "tokens_generated": 0, "variation_id": variation, "seed": plan.prompt.sampling.seed }))
        .suggest("try another seed")
        .suggest("try a higher temperature, a longer length_seconds or fewer constraints")
}

impl Voice {
    fn new(engine: &Engine, plan: &Plan, variation: u64) -> Self {
        let mut prompt = plan.prompt.clone();
        prompt.sampling.seed = derive(prompt.sampling.seed, variation);
        let answer = Some(engine.answer(prompt.clone()));
        Self { answer, prompt, events: Vec::new(), told: 0 }
    }
}

impl Play<'_> {
    /// Takes what is there of every voice; whether there was anything.
    fn round(&mut self, life: &Life, say: &mut dyn FnMut(&Word<'_>)) -> Result<bool, Failure> {
        let mut any = false;
        for index in 0..self.voices.len() {
            while let Some(step) = self.voices[index].answer.as_mut().map(Answer::poll) {
                if step == Step::Pending {
                    break;
                }
                any = true;
                self.take(index, step, life, say)?;
            }
        }
        Ok(any)
    }

    /// Waits for the first voice that is open.
    fn wait(&mut self, life: &Life, say: &mut dyn FnMut(&Word<'_>)) -> Result<(), Failure> {
        let open = self.voices.iter().position(|voice| voice.answer.is_some());
        let Some(index) = open else { return Ok(()) };
        let step = self.voices[index].answer.as_mut().map(|answer| answer.wait_for(LOOK));
        match step {
            Some(step) if step != Step::Pending => self.take(index, step, life, say),
            _ => Ok(()),
        }
    }

    fn take(
        &mut self,
        index: usize,
        step: Step,
        life: &Life,
        say: &mut dyn FnMut(&Word<'_>),
    ) -> Result<(), Failure> {
        let voice = &mut self.voices[index];
        match step {
            Step::Note(event) => {
                voice.events.push(event);
                let full = voice.events.len() >= self.most;
                if full {
                    // Dropping it stops the engine within a token.
                    voice.answer = None;
                }
                life.tokens.fetch_add(TOKENS as u64, Ordering::Relaxed);
                self.tell(index, full, life, say);
            }
            Step::Done => {
                let next = self.plan.then(&voice.prompt, &voice.events);
                voice.answer = next.as_ref().map(|prompt| self.engine.answer(prompt.clone()));
                voice.prompt = next.unwrap_or_else(|| voice.prompt.clone());
                let over = voice.answer.is_none();
                self.tell(index, over, life, say);
            }
            Step::Failed(why) => return Err(Failure::failed(why).with(json!({ "variation_id": index }))),
            Step::Pending => {}
        }
        Ok(())
    }

    /// Says how far a voice is, if it is time to.
    fn tell(&mut self, index: usize, over: bool, life: &Life, say: &mut dyn FnMut(&Word<'_>)) {
        let shares: f64 = self.voices.iter().map(|voice| self.share(voice)).sum();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let percent = (100.0 * shares / self.voices.len().max(1) as f64).clamp(0.0, 100.0) as u64;
        self.percent = self.percent.max(percent);
        life.percent.store(self.percent, Ordering::Relaxed);
        let voice = &mut self.voices[index];
        let tokens = life.tokens.load(Ordering::Relaxed);
        let many = tokens >= self.told + (TOKENS * NOTES_A_WORD) as u64;
        let grown = voice.events.len() >= voice.told + NOTES_A_WORD;
        if (many || grown || over) && voice.events.len() > voice.told {
            (voice.told, self.told) = (voice.events.len(), tokens);
            say(&Word { variation: index as u64, events: &voice.events, tokens, percent: self.percent });
        }
    }

    /// How much of a voice is done: by time, or by notes where those are counted.
    #[allow(clippy::cast_precision_loss)] // thousands
    fn share(&self, voice: &Voice) -> f64 {
        if voice.answer.is_none() {
            return 1.0;
        }
        let (from, to) = (self.plan.prompt.start, self.plan.again.unwrap_or(self.plan.prompt.end));
        let at = voice.events.last().map_or(from, |event| event.onset);
        let by_time = f64::from(at - from) / f64::from((to - from).max(1));
        by_time.max(voice.events.len() as f64 / self.most as f64).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use continuo_inference::Model;
    use continuo_remote::wire::ProblemKind;

    use super::super::ask::Ask;
    use super::super::tasks::plan;
    use super::*;

    #[test]
    fn where_no_note_may_be_played_none_is_and_that_is_no_success() {
        let engine = Engine::shared(Model::from_compact(continuo_models::DEFAULT).unwrap());
        let mut request = continuo_remote::wire::Predict { seed: Some(1), ..Default::default() };
        request.num_variations = Some(2);
        let ask = Ask::of(&request, &|_| Ok(None)).unwrap();
        let plan = plan(&ask, engine.model()).unwrap();
        let life = Life::new(Duration::MAX);
        let failure = play(&engine, &plan, (2, 0), &life, &mut |_| {}).unwrap_err();
        assert_eq!((failure.kind, life.tokens.load(Ordering::Relaxed)), (ProblemKind::GenerationFailed, 0));
        assert_eq!(play(&engine, &plan, (2, 1), &life, &mut |_| {}).unwrap().len(), 2);
    }
}
