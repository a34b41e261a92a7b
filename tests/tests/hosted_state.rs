//! State: saved, loaded, duplicated, damaged, newer.

mod linked;

use continuo_tests::host::{Hosted, Recording, Song, Sound, parse};

const PHRASE: &str = "A3@0 len 0.9 vel 90 C4@1 E4@2 A4@3 G4@4 len 0.45 E4@4.5 len 0.9";

fn plugin() -> Hosted {
    Hosted::new(&linked::linked())
}

fn ons(out: &Recording) -> usize {
    out.events.iter().filter(|(_, event)| matches!(event, Sound::On { .. })).count()
}

#[test]
fn parameters_come_back() {
    let mut first = plugin();
    let turned: Vec<_> =
        first.params.iter().filter(|p| p.name == "Temperature" || p.name == "Top-p").cloned().collect();
    assert!(!turned.is_empty(), "there are {:?}", first.params.iter().map(|p| &p.name).collect::<Vec<_>>());
    for param in &turned {
        first.turn(&param.name, (param.range.0 * 0.3) + (param.range.1 * 0.7));
    }
    first.activate(48_000.0, 512);
    first.play(&[], &Song::stopped(120.0), 0.1, 512);
    let state = first.save();
    let mut second = plugin();
    assert!(second.load(&state));
    for param in &turned {
        let (a, b) = (first.value(&param.name), second.value(&param.name));
        assert!((a - b).abs() < 1e-6 && (a - param.default).abs() > 1e-6, "{}: {a} and {b}", param.name);
    }
    assert_eq!(second.save(), state, "a state saved again is the same");
}

#[test]
fn a_kept_take_is_in_the_state_and_in_a_duplicate() {
    let mut first = plugin();
    first.offline();
    first.activate(48_000.0, 512);
    first.play(&parse(PHRASE), &Song::steady(120.0), 6.0, 512);
    let before = first.save().len();
    first.turn("Keep that", 1.0);
    first.play(&[], &Song::stopped(120.0), 0.5, 512);
    let state = first.save();
    assert!(state.len() > before, "nothing was kept: {} bytes before, {} after", before, state.len());
    let mut second = plugin();
    assert!(second.load(&state));
    second.activate(48_000.0, 512);
    second.play(&[], &Song::stopped(120.0), 0.5, 512);
    assert_eq!(second.save().len(), state.len(), "the duplicate has it too");
}

#[test]
fn damaged_states_do_no_harm() {
    let mut first = plugin();
    let state = first.save();
    for cut in (0..state.len()).step_by((state.len() / 40).max(1)) {
        let mut other = plugin();
        other.load(&state[..cut]);
        let mut bytes = state.clone();
        bytes[cut] ^= 0x55;
        other.load(&bytes);
        other.activate(48_000.0, 512);
        let out = other.play(&parse("C4@0"), &Song::steady(120.0), 0.3, 512);
        assert!(out.left.iter().all(|x| x.is_finite()));
    }
}

#[test]
fn a_newer_state_is_kept() {
    let mut first = plugin();
    // The version stands in JSON within JSON within the framework's JSON, behind a binary length.
    let mut newer = first.save();
    let here = br#"\\\"version\\\":1"#;
    let at = newer.windows(here.len()).position(|part| part == here).expect("a version in the state");
    newer[at + here.len() - 1] = b'9';
    let mut other = plugin();
    assert!(other.load(&newer));
    other.activate(48_000.0, 512);
    other.play(&[], &Song::stopped(120.0), 0.3, 512);
    let kept = String::from_utf8_lossy(&other.save()).into_owned();
    assert!(kept.contains(r#"\\\"version\\\":9"#), "the newer state was not kept: {kept}");
}

#[test]
fn two_hundred_instances_come_and_go() {
    let score = parse(PHRASE);
    for n in 0..200 {
        let mut each = plugin();
        each.activate(48_000.0, 512);
        // In real time mode nothing waits, so the worker is at work when the instance goes.
        let out = each.play(&score, &Song::steady(480.0), 1.0 + f64::from(n % 7) * 0.01, 512);
        assert!(ons(&out) >= score.len(), "instance {n} passed on {} notes", ons(&out));
    }
    // None of them left anything that keeps the next from answering.
    let mut last = plugin();
    last.offline();
    last.activate(48_000.0, 512);
    let out = last.play(&score, &Song::steady(120.0), 6.0, 512);
    assert!(ons(&out) > score.len(), "no answer");
}

#[test]
fn instances_live_side_by_side() {
    let mut all: Vec<Hosted> = (0..8).map(|_| plugin()).collect();
    for each in &mut all {
        each.activate(48_000.0, 512);
    }
    for each in &mut all {
        each.play(&parse(PHRASE), &Song::steady(240.0), 1.0, 512);
    }
    all.drain(..4);
    for each in &mut all {
        let out = each.play(&parse("C4@0"), &Song::steady(240.0), 0.2, 512);
        assert!(out.peak(0..9_600) > 0.001);
    }
}

#[test]
fn a_state_that_comes_while_playing_turns_no_learning_on_and_presses_nothing() {
    let mut first = plugin();
    first.activate(48_000.0, 512);
    // Waits for a control; "Answer now" stayed down.
    first.turn("Learn", 5.0);
    first.turn("Answer now", 1.0);
    first.play(&[], &Song::stopped(120.0), 0.1, 512);
    let state = first.save();
    let mut second = plugin();
    second.offline();
    second.activate(48_000.0, 512);
    second.turn("Trigger", 5.0);
    let score = parse(PHRASE);
    second.play(&score, &Song::steady(120.0), 4.0, 512);
    assert!(second.load(&state));
    second.turn("Trigger", 5.0);
    let out = second.play(&parse("C4@0 E4@1"), &Song::steady(120.0), 6.0, 512);
    let ons = out.events.iter().filter(|(_, event)| matches!(event, Sound::On { .. })).count();
    assert_eq!(ons, 2, "both keys are music, and nobody asked for an answer: {:?}", out.events);
    // A button that is down when the plugin is made anew was pressed before.
    second.deactivate();
    second.offline();
    second.activate(48_000.0, 512);
    let out = second.play(&score, &Song::steady(120.0), 6.0, 512);
    let ons = out.events.iter().filter(|(_, event)| matches!(event, Sound::On { .. })).count();
    assert_eq!(ons, score.len(), "nobody asked for an answer: {:?}", out.events);
}
