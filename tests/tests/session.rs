//! The default model through sessions and the engine.

use std::sync::Arc;

use continuo_inference::{Constraints, Engine, Event, Model, Prompt, Sampling, Session, Step, TimeFrame};
use continuo_timeline::{Instrument, Key};

fn model() -> Arc<Model> {
    Model::from_compact(continuo_models::DEFAULT).expect("the default model loads")
}

/// Two bars of C major in eighths, at 48 ticks a beat.
fn prompt(seed: u64) -> Prompt {
    let keys = [60, 64, 67, 72, 67, 64, 62, 65, 69, 74, 69, 65, 62, 67, 71, 67];
    let history = (0..).zip(keys).map(|(i, key)| event(i * 24, 24, key)).collect();
    let sampling = Sampling { temperature: 1.0, top_p: 0.95, seed };
    Prompt { history, start: 384, end: 768, sampling, ..Prompt::default() }
}

fn event(onset: i32, duration: i32, key: u8) -> Event {
    Event { onset, duration, instrument: Instrument(0), key: Key(key) }
}

fn answer(session: &mut Session, prompt: Prompt) -> Vec<Event> {
    session.begin(prompt).expect("a sound prompt");
    std::iter::from_fn(|| session.next_note().expect("the model answers")).collect()
}

#[test]
fn the_first_onset_and_the_density_are_as_asked_for() {
    let mut session = Session::new(model());
    let count = |session: &mut Session, density: f32| -> usize {
        let constraints = Constraints { density, ..Constraints::default() };
        (0..6).map(|seed| answer(session, Prompt { constraints, ..prompt(seed) }).len()).sum()
    };
    let (few, some, many) = (count(&mut session, 0.4), count(&mut session, 1.0), count(&mut session, 2.5));
    assert!(few < some && some < many, "{few}, {some}, {many} notes");
    for seed in 0..6 {
        let by = Prompt { first_by: Some(384), ..prompt(seed) };
        assert_eq!(answer(&mut session, by).first().map(|event| event.onset), Some(384), "seed {seed}");
    }
}

#[test]
fn what_is_forbidden_is_not_played() {
    let mut session = Session::new(model());
    // Sixteenths, F3 to C5, C major.
    let phases = Some((0..48).step_by(12).map(|tick| 1 << tick).sum());
    let scale = [0, 2, 4, 5, 7, 9, 11].iter().map(|class| 1 << class).sum();
    for seed in 0..8 {
        let constraints = Constraints { phases, keys: (53, 72), scale, ..Constraints::default() };
        let notes = answer(&mut session, Prompt { constraints, max_per_onset: 2, ..prompt(seed) });
        assert!(notes.len() > 2, "seed {seed}: {notes:?}");
        for note in &notes {
            assert!(note.onset % 12 == 0 && (53..=72).contains(&note.key.0), "seed {seed}: {note:?}");
            assert!([0, 2, 4, 5, 7, 9, 11].contains(&(note.key.0 % 12)), "seed {seed}: {note:?}");
            assert!(notes.iter().filter(|other| other.onset == note.onset).count() <= 2, "seed {seed}");
        }
    }
}

#[test]
fn counts_in_musical_time() {
    assert_eq!(model().frame(), TimeFrame::Beats { ticks_per_beat: 48 });
}

#[test]
fn answers_lie_in_their_span_in_order_and_on_the_instrument_asked_for() {
    let mut session = Session::new(model());
    let notes = answer(&mut session, prompt(3));
    assert!(notes.len() >= 4, "{notes:?}");
    assert!(
        notes.iter().all(|n| (384..768).contains(&n.onset) && n.instrument == Instrument(0)),
        "{notes:?}"
    );
    assert!(notes.is_sorted_by_key(|n| n.onset), "{notes:?}");
    let drums = Prompt { instruments: Some(vec![128]), ..prompt(3) };
    let notes = answer(&mut session, drums);
    assert!(notes.iter().all(|n| n.instrument.is_drums()), "{notes:?}");
}

#[test]
fn a_seed_repeats_and_a_used_session_answers_as_a_new_one() {
    let model = model();
    let mut used = Session::new(Arc::clone(&model));
    let first = answer(&mut used, prompt(3));
    let other = answer(&mut used, prompt(4));
    let again = answer(&mut used, prompt(3));
    assert_eq!(first, again);
    assert_ne!(first, other);
    assert_eq!(other, answer(&mut Session::new(model), prompt(4)));
}

#[test]
fn a_prompt_longer_than_the_window_is_answered() {
    let history: Vec<Event> =
        (0..600).map(|i| event(i * 12, 12, 60 + u8::try_from(i % 12).unwrap())).collect();
    let long = Prompt { history, start: 7200, end: 7200 + 192, ..prompt(1) };
    let notes = answer(&mut Session::new(model()), long);
    assert!(notes.iter().all(|n| (7200..7392).contains(&n.onset)), "{notes:?}");
}

#[test]
fn silence_and_nonsense_are_refused_or_answered_but_never_a_panic() {
    let mut session = Session::new(model());
    let nothing = Prompt { history: Vec::new(), start: 0, end: 192, ..prompt(1) };
    let notes = answer(&mut session, nothing);
    assert!(notes.iter().all(|n| (0..192).contains(&n.onset)));
    assert!(session.begin(Prompt { end: 300, ..prompt(1) }).is_err());
    let early = Prompt { history: vec![event(-5, 10, 60)], ..prompt(1) };
    assert!(session.begin(early).is_err());
    let far = Prompt { history: vec![event(0, 10, 60)], start: 50_000, end: 50_100, ..prompt(1) };
    let _ = answer(&mut session, far);
}

#[test]
fn the_engine_gives_what_a_session_gives_to_many_at_once() {
    let model = model();
    let engine = Engine::shared(Arc::clone(&model));
    let mut answers: Vec<_> = (0..4).map(|seed| engine.answer(prompt(seed))).collect();
    for (seed, under_way) in (0..).zip(&mut answers) {
        let mut notes = Vec::new();
        while let Step::Note(note) = under_way.wait() {
            notes.push(note);
        }
        assert_eq!(notes, answer(&mut Session::new(Arc::clone(&model)), prompt(seed)), "seed {seed}");
    }
}

#[test]
fn engines_end_with_their_last_user_even_with_work_open() {
    let model = model();
    for _ in 0..20 {
        let engine = Engine::shared(Arc::clone(&model));
        let _open = engine.answer(prompt(1));
    }
    let weak = Arc::downgrade(&Engine::shared(Arc::clone(&model)));
    assert!(weak.upgrade().is_none());
}

#[test]
fn damaged_files_are_refused_by_name() {
    let good = continuo_models::DEFAULT;
    for cut in [0, 7, 8, 100, good.len() / 2, good.len() - 1] {
        let error = Model::from_compact(&good[..cut]).err().expect("cut short").to_string();
        assert!(error.contains("the built-in model"), "{error}");
    }
}

#[test]
fn what_was_prepared_changes_no_answer() {
    let (model, expected) = (model(), answer(&mut Session::new(model()), prompt(4)));
    let engine = Engine::shared(model);
    // The prompt as it grew, a note at a time.
    for length in [3, 7, 12, 16] {
        let mut part = prompt(4);
        part.history.truncate(length);
        engine.prepare(part);
    }
    let mut asked = engine.answer(prompt(4));
    let mut notes = Vec::new();
    while let Step::Note(event) = asked.wait() {
        notes.push(event);
    }
    assert_eq!(notes, expected);
}

#[test]
fn notes_that_still_sound_do_not_seem_short() {
    let mut session = Session::new(model());
    // A bass note struck a sixteenth before the cut, in each of several prompts.
    let differ = (0..6).filter(|&seed| {
        let mut held = prompt(seed);
        held.history.push(event(372, 1, 36));
        let cut = answer(&mut session, held.clone());
        held.held = vec![(372, Instrument(0), Key(36))];
        let open = answer(&mut session, held.clone());
        assert!(open.iter().all(|note| (384..768).contains(&note.onset)), "{open:?}");
        assert_eq!(open, answer(&mut Session::new(model()), held), "the same each time, seed {seed}");
        cut != open
    });
    assert!(differ.count() > 0, "the model does not hear that a note goes on");
}
