//! Instances that hear each other: two in one host, block by block.

mod linked;

use std::sync::{Mutex, MutexGuard, PoisonError};

use continuo_tests::host::{Act, Hosted, Pitched, Played, Recording, Song, paired, parse};

const PHRASE: &str = "A3@0 len 0.9 vel 90 C4@1 E4@2 A4@3 G4@4 len 0.45 E4@4.5 len 0.9 C4@5.5 A3@6.5 len 0.5";

fn plugin(turned: &[(&str, f64)], block: u32) -> Hosted {
    let mut plugin = Hosted::new(&linked::linked());
    plugin.offline();
    plugin.activate(48_000.0, block);
    plugin.turn("Thru", 0.0);
    turned.iter().for_each(|(name, value)| plugin.turn(name, *value));
    plugin
}

/// Samples that one instance is ahead of the other, at most: a fifth of a beat.
const SPAN: u64 = 4_800;

/// All instances of a process hear each other, so that one test plays at a time.
static STAGE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    STAGE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Two instances side by side at 120 beats a minute, [`SPAN`] samples of the one, then of the other.
struct Duo {
    block: u32,
    /// Whether the second is asked for its block first.
    turned_around: bool,
}

impl Duo {
    /// What comes out of each in `beats` beats.
    fn play(&self, plugins: &mut [Hosted; 2], scores: [&[Played]; 2], beats: f64) -> [Vec<Pitched>; 2] {
        let mut out = [Recording::default(), Recording::default()];
        let total = (beats * 24_000.0) as u64;
        let mut at = 0;
        while at < total {
            let frames = SPAN.min(total - at);
            let mut song = Song::steady(120.0);
            song.acts = vec![(0.0, Act::Play(at as f64 / 24_000.0))];
            for turn in 0..2 {
                let which = if self.turned_around { 1 - turn } else { turn };
                let input = raw(scores[which], at..at + frames);
                let seconds = frames as f64 / 48_000.0;
                let part = plugins[which].play_raw(&input, &song, seconds, self.block);
                out[which].events.extend(part.events.iter().map(|(when, event)| (when + at, *event)));
            }
            at += frames;
        }
        let [first, second] = &mut out;
        for (plugin, out) in plugins.iter_mut().zip([first, second]) {
            let rest = plugin.play(&[], &Song::stopped(120.0), 0.1, self.block);
            out.events.extend(rest.events.iter().map(|(when, event)| (when + at, *event)));
        }
        out.map(|out| paired(&out).unwrap_or_else(|why| panic!("{why}")))
    }
}

fn raw(score: &[Played], span: std::ops::Range<u64>) -> Vec<(u64, [u8; 3])> {
    let sample = |beats: f64| (beats * 24_000.0).round() as u64;
    let ends =
        |n: &Played| [(sample(n.at), [0x90, n.key, n.velocity]), (sample(n.at + n.len), [0x80, n.key, 0])];
    let all = score.iter().flat_map(ends).filter(|(at, _)| span.contains(at));
    all.map(|(at, bytes)| (at - span.start, bytes)).collect()
}

const STEADY: Duo = Duo { block: 512, turned_around: false };
const BASS: [(&str, f64); 2] = [("Mode", 3.0), ("Answer instrument", 33.0)];

#[test]
fn a_bass_plays_along_with_another_instance_and_ends_with_its_player() {
    let _alone = alone();
    let play = |hears: f64, duo: &Duo| {
        let bass = [BASS[0], BASS[1], ("Hear others", hears)];
        let mut both = [plugin(&[("Mode", 0.0)], duo.block), plugin(&bass, duo.block)];
        duo.play(&mut both, [&parse(PHRASE), &[]], 20.0)
    };
    let [_, heard] = play(1.0, &STEADY);
    let within = heard.iter().filter(|note| note.at < 8 * 24_000).count();
    assert!(within >= 3, "{within} notes while the other plays");
    assert!(heard.iter().all(|note| note.at < 18 * 24_000), "it goes on without the player");
    assert_eq!(play(0.0, &STEADY)[1], [], "nobody hears others who was not asked to");
    // The same in other blocks, and whoever the host asks first.
    assert_eq!(play(1.0, &Duo { block: 128, turned_around: true })[1], heard);
}

#[test]
fn an_answer_depends_on_what_the_other_plays() {
    let _alone = alone();
    let play = |hears: f64, semitones: u8| {
        let other: Vec<Played> =
            parse(PHRASE).into_iter().map(|note| Played { key: note.key - 12 + semitones, ..note }).collect();
        let mut both = [plugin(&[("Mode", 0.0)], 512), plugin(&[("Hear others", hears)], 512)];
        let [_, answer] = STEADY.play(&mut both, [&other, &parse(PHRASE)], 14.0);
        assert!(answer.len() > 3, "{answer:?}");
        answer
    };
    assert_ne!(play(1.0, 0), play(1.0, 5), "another key beside it, and the same answer");
    assert_eq!(play(0.0, 0), play(0.0, 5));
}

#[test]
fn two_that_hear_each_other_do_not_play_on_for_ever() {
    let _alone = alone();
    let both = [("Mode", 3.0), ("Hear others", 1.0)];
    let mut both = [plugin(&both, 512), plugin(&both, 512)];
    let [first, second] = STEADY.play(&mut both, [&parse(PHRASE), &[]], 26.0);
    for notes in [first, second] {
        assert!(!notes.is_empty() && notes.iter().all(|note| note.at < 20 * 24_000), "{notes:?}");
    }
}
