//! The model against chance on five prompts; all fifty are `cargo xtask bench model`.

use std::sync::Arc;

use continuo_inference::{Event, Model};
use continuo_tests::gates::{Figures, Made, answers, events, judge, mean, of, prompts, shuffled, untrained};

fn figures(prompts: &[Made], answers: &[Vec<Event>]) -> Vec<Figures> {
    let pairs = prompts.iter().zip(answers);
    pairs.map(|(made, answer)| of(&events(&made.notes), answer, made.tempo)).collect()
}

#[test]
fn the_model_is_better_than_chance() {
    let prompts = prompts(16).expect("prompts");
    let model = Model::from_compact(continuo_models::DEFAULT).expect("the default model");
    let random = untrained(continuo_models::DEFAULT, 1).expect("untrained weights");
    let random = Model::from_compact(&random).expect("an untrained model");
    let played = answers(&model, &prompts).expect("answers");
    assert!(played.iter().all(|notes| notes.len() >= 4), "each prompt is answered");
    let model = figures(&prompts, &played);
    let shuffled = figures(&prompts, &shuffled(&played, 1));
    let untrained = figures(&prompts, &answers(&random, &prompts).expect("answers"));
    for (name, other) in [("shuffled notes", &shuffled), ("untrained weights", &untrained)] {
        let verdict = judge(&model, other);
        assert!(verdict.clear(), "not clearly better than {name}: {verdict:?}");
        assert!(!judge(other, &model).clear(), "the gate lets {name} pass for the model");
    }
    let in_key: Vec<f64> = model.iter().filter_map(|f| f.in_key).collect();
    assert!(mean(&in_key) > 0.75, "notes in key: {in_key:?}");
}

#[test]
fn a_prompt_is_the_same_each_time_and_untrained_weights_are_other_weights() {
    let (a, b) = (prompts(20).expect("prompts"), prompts(20).expect("prompts"));
    assert!(a.iter().zip(&b).all(|(a, b)| a.notes == b.notes));
    assert!(a.iter().all(|made| made.notes.iter().all(|n| n.at < 32.0 && n.key < 128)));
    let random = untrained(continuo_models::DEFAULT, 1).expect("untrained weights");
    assert_eq!(random.len(), continuo_models::DEFAULT.len());
    let model = Model::from_compact(&random).expect("an untrained model");
    let trained = Model::from_compact(continuo_models::DEFAULT).expect("the default model");
    let state = |model: &Arc<Model>| model.feed(&mut model.cache(), &[55_026, 0, 10_024]);
    assert_ne!(state(&model), state(&trained));
}
