//! A request that was looked through: numbers in their ranges, files decoded.

use continuo_inference::Sampling;
use continuo_remote::wire::{Compat, Detail, Fact, Include, Mode, ModelSize, Predict, Task, Wishes};

use super::failure::{Failure, fault};
use super::input::{Find, Wrong, file};
use super::ledger::New;
use super::{artifact_routes, store};

/// Most tokens of an answer.
pub const MOST_TOKENS: i64 = 8192;
/// Most answers to a request.
pub const MOST_VARIATIONS: i64 = 8;

/// A sound request.
#[derive(Clone, Debug)]
pub struct Ask {
    /// What is to be done.
    pub task: Task,
    /// Seconds of new music, if they are said.
    pub seconds: Option<f64>,
    /// Whether the most tokens are said.
    pub counts_tokens: bool,
    /// Most tokens of each answer: what is asked, else as many as may be.
    pub most_tokens: i64,
    /// Seconds of the file that stay.
    pub prime: f64,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// How many answers.
    pub variations: u64,
    /// Which model.
    pub size: Option<ModelSize>,
    /// Which layer is embedded.
    pub layer: i64,
    /// What `continue` does.
    pub mode: Mode,
    /// Who plays.
    pub instruments: Option<Vec<u8>>,
    /// Of what begins from nothing.
    pub tempo: f64,
    /// What it should be like.
    pub wishes: Wishes,
    /// What a bridge should do.
    pub hints: Vec<String>,
    /// What a variation holds.
    pub include: Vec<Include>,
    /// Facts that are told; all if absent.
    pub facts: Option<Vec<Fact>>,
    /// What the artifacts have in common.
    pub artifact: New,
    /// Hash of the file that the music comes from.
    pub source: Option<String>,
    /// The file.
    pub input: Option<Vec<u8>>,
    /// What comes before a bridge, and after.
    pub sections: (Option<Vec<u8>>, Option<Vec<u8>>),
    /// What the caller should know.
    pub warnings: Vec<String>,
}

/// Looks at numbers, and gathers what is wrong.
struct Look {
    clamp: bool,
    faults: Vec<Detail>,
    warnings: Vec<String>,
    /// The store cannot be read.
    broken: Option<Failure>,
}

impl Look {
    /// A number in its range, or its default.
    fn number(&mut self, name: &str, given: Option<f64>, usual: f64, (low, high): (f64, f64)) -> f64 {
        let Some(number) = given else { return usual };
        if (low..=high).contains(&number) {
            return number;
        }
        let text = format!("{name} {number} is outside {low} to {high}");
        if self.clamp {
            let near = number.clamp(low, high);
            self.warnings.push(format!("{text}; {near} was used"));
            return near;
        }
        // A name with a point is that of a field within a field.
        let place: Vec<&str> = name.split('.').collect();
        self.faults.push(fault(&place, text, "value_error"));
        usual
    }

    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // ranges of thousands
    fn count(&mut self, name: &str, given: Option<i64>, usual: i64, (low, high): (i64, i64)) -> i64 {
        self.number(name, given.map(|n| n as f64), usual as f64, (low as f64, high as f64)) as i64
    }

    fn keep(&mut self, read: Result<Option<Vec<u8>>, Wrong>) -> Option<Vec<u8>> {
        match read {
            Ok(file) => return file,
            Err(Wrong::Fault(fault)) => self.faults.push(fault),
            Err(Wrong::Store(failure)) => self.broken = Some(failure),
        }
        None
    }
}

impl Ask {
    /// Looks a request through. Files named by hash come from `find`.
    pub fn of(request: &Predict, find: Find<'_>) -> Result<Self, Failure> {
        let clamp = request.compat.as_ref().is_some_and(|compat: &Compat| compat.clamp);
        let mut look = Look { clamp, faults: Vec::new(), warnings: Vec::new(), broken: None };
        let mut ask = Self::numbers(request, &mut look);
        let by_hash = [
            ("seed_hash", &request.seed_hash),
            ("input_hash", &request.input_hash),
            ("midi_input_hash", &request.midi_input_hash),
        ];
        let mut texts = vec![("midi_input", &request.midi_input)];
        texts.extend(by_hash);
        ask.input = look.keep(file(&texts, find));
        let a = [("section_a", &request.section_a), ("section_a_hash", &request.section_a_hash)];
        let b = [("section_b", &request.section_b), ("section_b_hash", &request.section_b_hash)];
        ask.sections = (look.keep(file(&a, find)), look.keep(file(&b, find)));
        ask.source = ask.input.as_ref().or(ask.sections.0.as_ref()).map(|bytes| store::hash(bytes));
        if ask.task == Task::Generate && ask.input.is_some() {
            ask.task = Task::GenerateSeeded;
        }
        ask.needs(&mut look);
        ask.artifact.variation_set_id.clone_from(&request.variation_set_id);
        ask.artifact.parent_id.clone_from(&request.parent_id);
        let named = (request.creator.clone(), request.tags.clone());
        if let Err(failure) = artifact_routes::names(&mut ask.artifact, named.0, named.1) {
            look.faults.extend(failure.faults);
        }
        if let Some(failure) = look.broken {
            return Err(failure);
        }
        ask.warnings = look.warnings;
        if look.faults.is_empty() { Ok(ask) } else { Err(Failure::faulty(look.faults)) }
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within their ranges
    fn numbers(request: &Predict, look: &mut Look) -> Self {
        let seconds = request
            .length_seconds
            .map(|_| look.number("length_seconds", request.length_seconds, 20.0, (1.0, 120.0)));
        let tokens =
            request.max_tokens.map(|_| look.count("max_tokens", request.max_tokens, 1024, (1, MOST_TOKENS)));
        let temperature = look.number("temperature", request.temperature, 1.0, (0.01, 2.0));
        let top_p = look.number("top_p", request.top_p, 0.95, (0.0, 1.0));
        let mut wishes = request.constraints.clone().unwrap_or_default();
        let energy = wishes.target_energy;
        wishes.target_energy =
            energy.map(|_| look.number("constraints.target_energy", energy, 0.5, (0.0, 1.0)));
        if let Some(instruments) = &request.instruments {
            instrument_list(instruments, look);
        }
        let lists = [
            ("hints", &request.hints),
            ("constraints.instrument_hints", &wishes.instrument_hints),
            ("constraints.style_hints", &wishes.style_hints),
        ];
        lists.into_iter().for_each(|(name, list)| hint_list(name, list.as_deref(), look));
        if let Some(status) = request.compat.as_ref().and_then(|compat| compat.busy_status)
            && ![429, 503].contains(&status)
        {
            let text = format!("compat.busy_status {status} is neither 429 nor 503");
            look.faults.push(fault(&["compat", "busy_status"], text, "value_error"));
        }
        Self {
            task: request.task,
            seconds,
            counts_tokens: tokens.is_some(),
            most_tokens: tokens.unwrap_or(MOST_TOKENS),
            prime: look.number("prime_seconds", request.prime_seconds, 5.0, (1.0, 60.0)),
            sampling: Sampling {
                temperature: temperature as f32,
                top_p: top_p as f32,
                seed: request.seed.unwrap_or_else(chance),
            },
            variations: look.count("num_variations", request.num_variations, 1, (1, MOST_VARIATIONS)) as u64,
            size: request.model_size,
            layer: request.embed_layer.unwrap_or(-3),
            mode: request.mode.unwrap_or_default(),
            instruments: request.instruments.clone().filter(|list| !list.is_empty()),
            tempo: look.number("tempo_bpm", request.tempo_bpm, 120.0, (20.0, 300.0)),
            wishes,
            hints: request.hints.clone().unwrap_or_default(),
            include: request
                .include
                .clone()
                .unwrap_or_else(|| vec![Include::Midi, Include::Hash, Include::Analysis]),
            facts: request.analyses.clone(),
            artifact: New::default(),
            source: None,
            input: None,
            sections: (None, None),
            warnings: Vec::new(),
        }
    }

    /// Files without which the task cannot be done.
    fn needs(&self, look: &mut Look) {
        let lacks = match self.task {
            Task::Continue | Task::Embed | Task::GenerateSeeded if self.input.is_none() => "midi_input",
            Task::Bridge if self.sections.0.is_none() => "section_a",
            _ => return,
        };
        if !look.faults.iter().any(|fault| fault.loc.last().is_some_and(|at| at.starts_with(lacks))) {
            let text = format!("{lacks} is missing; task {} needs a MIDI file in base64", self.task.name());
            look.faults.push(fault(&[lacks], text, "missing"));
        }
    }

    /// Most notes of a variation.
    pub fn most_notes(&self) -> usize {
        usize::try_from(self.most_tokens / 3).unwrap_or(0)
    }

    /// Seconds of new music: what is said, else what the most notes leave open, else 20.
    pub fn length(&self) -> f64 {
        self.seconds.unwrap_or(if self.counts_tokens { 120.0 } else { 20.0 })
    }
}

/// Most entries of a list of instruments or of hints.
const ENTRIES: usize = 16;

fn hint_list(name: &str, list: Option<&[String]>, look: &mut Look) {
    let count = list.map_or(0, <[String]>::len);
    if count > ENTRIES {
        let text = format!("{name} has {count} entries, and may have {ENTRIES}");
        let place: Vec<&str> = name.split('.').collect();
        look.faults.push(fault(&place, text, "value_error"));
    }
}

fn instrument_list(list: &[u8], look: &mut Look) {
    if list.len() > ENTRIES {
        let text = format!("instruments has {} entries, and may have {ENTRIES}", list.len());
        look.faults.push(fault(&["instruments"], text, "value_error"));
    }
    if let Some(program) = list.iter().find(|program| **program > 128) {
        let text = format!("instruments: {program} is outside 0 to 128 (128 is the drum kit)");
        look.faults.push(fault(&["instruments"], text, "value_error"));
    }
}

/// A seed that JavaScript can say too.
fn chance() -> u64 {
    let mut bytes = [0_u8; 8];
    // Without the system's randomness the seed is 0, and told as any other.
    let _ = getrandom::fill(&mut bytes);
    u64::from_le_bytes(bytes) >> 11
}

/// Seed of a variation: the first has the request's own, so that each can be asked for alone. The finaliser
/// of SplitMix64 (Steele, Lea and Flood, 2014), cut to 53 bits.
pub fn derive(seed: u64, variation: u64) -> u64 {
    if variation == 0 {
        return seed;
    }
    let x = seed.wrapping_add(variation.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (x ^ (x >> 31)) >> 11
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(json: &str) -> Result<Ask, Failure> {
        Ask::of(&serde_json::from_str(json).unwrap(), &|_| Ok(None))
    }

    #[test]
    fn each_bound_is_held() {
        for (name, low, high, step) in [
            ("length_seconds", 1.0, 120.0, 0.01),
            ("prime_seconds", 1.0, 60.0, 0.01),
            ("temperature", 0.01, 2.0, 0.001),
            ("top_p", 0.0, 1.0, 0.001),
            ("num_variations", 1.0, 8.0, 1.0),
            ("max_tokens", 1.0, 8192.0, 1.0),
        ] {
            let with = |value: f64| {
                let whole = step >= 1.0;
                let text = if whole { format!("{value:.0}") } else { format!("{value}") };
                ask(&format!("{{\"{name}\": {text}}}"))
            };
            assert!(with(low).is_ok() && with(high).is_ok(), "{name}");
            for outside in [low - step, high + step] {
                let failure = with(outside).unwrap_err();
                assert_eq!(failure.faults[0].loc, ["body", name], "{outside}");
            }
        }
    }

    #[test]
    fn clamping_is_told() {
        let ask = ask(r#"{"top_p": 1.5, "num_variations": 99, "compat": {"clamp": true}}"#).unwrap();
        assert_eq!((ask.sampling.top_p, ask.variations, ask.warnings.len()), (1.0, 8, 2));
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let failure = ask(r#"{"task": "continue", "top_p": 2, "midi_input": "%%"}"#).unwrap_err();
        let places: Vec<&str> = failure.faults.iter().map(|fault| fault.loc[1].as_str()).collect();
        assert_eq!(places, ["top_p", "midi_input"]);
        assert_eq!(ask(r#"{"task": "bridge"}"#).unwrap_err().faults[0].kind, "missing");
    }

    #[test]
    fn seeds_of_variations_differ_and_the_first_is_the_own() {
        let seeds: Vec<u64> = (0..8).map(|k| derive(7, k)).collect();
        assert_eq!(seeds[0], 7);
        assert!((1..8).all(|k| !seeds[..k].contains(&seeds[k]) && seeds[k] < 1 << 53));
    }
}
