//! What the mind decides, message by message, with a maker that says what the test tells it to.

mod taking;

use continuo_timeline::{Bpm, Meter, Quantise, Tick};

use continuo_timeline::Cut;

use super::*;
use crate::link::{AudioSide, link};
use crate::worker::fake::Fake;
use crate::worker::maker::Maker;

/// Ticks of the fake's frame in a beat.
const BEAT: i32 = 48;

/// A mind, and the test in the place of its audio thread and of its maker.
struct Stage {
    mind: Mind,
    audio: AudioSide,
    side: WorkerSide,
    fake: Arc<Fake>,
    settings: Settings,
    /// The grid point that comes next.
    step: u32,
    playing: bool,
    /// Beats from the line to the song.
    elsewhere: f64,
    epoch: u32,
    /// What was planned and not made void.
    notes: Vec<Note>,
}

impl Stage {
    fn new(settings: Settings) -> Self {
        let (audio, side) = link();
        let fake = Arc::new(Fake::default());
        let mut engines = Engines::new(Arc::default());
        engines.pretended = Some(Maker::Fake(Arc::clone(&fake), "fake"));
        let mind = Mind::new(Arc::default(), Arc::default(), engines);
        let (step, elsewhere, epoch, notes) = (0, 0.0, 0, Vec::new());
        let mut stage =
            Self { mind, audio, side, fake, settings, step, playing: true, elsewhere, epoch, notes };
        stage.cut(Cut::Transport);
        stage.set(settings);
        stage
    }

    /// One that a phrase of the beats 0 to 3 was played to, and where it is so many grid points later.
    fn after_a_phrase(settings: Settings, step: u32) -> Self {
        let mut stage = Self::new(settings);
        stage.phrase();
        stage.go(step);
        stage
    }

    /// Three beats. Whatever is asked meanwhile is answered with a note.
    fn phrase(&mut self) {
        for step in 0..72 {
            let key = [60, 64, 67][step / 24];
            match step % 24 {
                0 => self.strike(key),
                20 => self.lift(key),
                _ => {}
            }
            let asked = self.fake.asked();
            self.go(1);
            if self.fake.asked() > asked {
                self.made(&[(0, 50)]);
            }
        }
    }

    fn set(&mut self, settings: Settings) {
        self.settings = settings;
        self.say(ToWorker::Settings(settings));
    }

    fn now(&self) -> Beats {
        Beats(f64::from(self.step) / 24.0)
    }

    fn say(&mut self, message: ToWorker) {
        assert!(self.audio.send(message));
        self.work();
    }

    fn cut(&mut self, why: Cut) {
        self.cut_at(why, self.now());
    }

    fn cut_at(&mut self, why: Cut, heard: Beats) {
        self.epoch += 1;
        self.notes.retain(|note| note.at.0 < heard.0);
        self.say(ToWorker::Epoch { at: self.now(), heard, epoch: Epoch(self.epoch), why });
    }

    fn strike(&mut self, key: u8) {
        let (at, epoch, channel) = (self.now(), Epoch(self.epoch), Channel(0));
        self.say(ToWorker::On { at, key: Key(key), velocity: Velocity(80), channel, epoch });
    }

    fn lift(&mut self, key: u8) {
        let (at, epoch, channel) = (self.now(), Epoch(self.epoch), Channel(0));
        self.say(ToWorker::Off { at, key: Key(key), channel, epoch });
    }

    /// Somebody asks for an answer, as the trigger has it.
    fn ask(&mut self) {
        if self.settings.trigger == Trigger::Pedal {
            let (at, epoch) = (self.now(), Epoch(self.epoch));
            self.say(ToWorker::Pedal { at, down: true, epoch });
            self.say(ToWorker::Pedal { at, down: false, epoch });
        } else {
            self.press(Press::Answer);
        }
    }

    fn press(&mut self, press: Press) {
        let (at, epoch) = (self.now(), Epoch(self.epoch));
        self.say(ToWorker::Press { at, press, epoch });
    }

    /// The next so many grid points.
    fn go(&mut self, steps: u32) {
        for _ in 0..steps {
            let at = self.now();
            self.say(ToWorker::Tick(Tick {
                at,
                song: Beats(at.0 + self.elsewhere),
                bar: Beats((at.0 / 4.0 + 1e-9).floor() * 4.0),
                wrap: None,
                meter: Meter::COMMON,
                tempo: Bpm(120.0),
                playing: self.playing,
                offline: false,
                epoch: Epoch(self.epoch),
            }));
            self.step += 1;
        }
    }

    fn work(&mut self) {
        while self.mind.work(&mut self.side) {}
        while let Some(message) = self.audio.receive() {
            match message {
                FromWorker::Planned { note, epoch } if epoch.0 == self.epoch => self.notes.push(note),
                FromWorker::Replan { from, .. } => self.notes.retain(|note| note.at.0 < from.0 - 1e-9),
                _ => {}
            }
        }
    }

    /// The maker says something.
    fn made(&mut self, notes: &[(i32, u8)]) {
        self.fake.say(notes);
        self.work();
    }

    /// Onsets in 24ths of a beat, and keys.
    #[allow(clippy::cast_possible_truncation)] // some beats
    fn planned(&self) -> Vec<(i64, u8)> {
        self.notes.iter().map(|note| ((note.at.0 * 24.0).round() as i64, note.key.0)).collect()
    }
}

fn settings(trigger: Trigger, quantise: Quantise) -> Settings {
    Settings { trigger, quantise, bars: 2, ..Settings::default() }
}

const ASKED_FOR: [Trigger; 3] = [Trigger::Key, Trigger::Pedal, Trigger::Parameter];

#[test]
fn who_asks_a_moment_before_a_boundary_is_answered_on_it() {
    for trigger in ASKED_FOR {
        for quantise in [Quantise::Beat, Quantise::Bar, Quantise::TwoBars, Quantise::LoopStart] {
            let bars = if quantise == Quantise::TwoBars { 4 } else { 0 };
            let mut stage = Stage::after_a_phrase(settings(trigger, quantise), 24 * bars + 22);
            assert!(stage.notes.is_empty(), "{trigger:?}: nobody asked yet");
            stage.made(&[(0, 72), (24, 74)]);
            assert!(stage.notes.is_empty(), "{trigger:?}: it is kept");
            // 23 24ths behind the beat.
            stage.go(1);
            stage.ask();
            stage.go(1);
            let line = 96 + 24 * i64::from(bars);
            assert_eq!(stage.planned(), [(line, 72), (line + 12, 74)], "{trigger:?}, {quantise:?}");
        }
    }
}

#[test]
fn who_waits_for_no_boundary_is_answered_at_once() {
    for trigger in ASKED_FOR {
        let mut stage = Stage::after_a_phrase(settings(trigger, Quantise::None), 12);
        // It is guessed at the 12th 24th, from the next one on.
        let start = stage.fake.newest().start;
        assert_eq!(start, 3 * BEAT + BEAT / 2, "{trigger:?}");
        stage.made(&[(0, 71), (24, 72), (24, 76)]);
        stage.go(4);
        stage.ask();
        stage.go(1);
        // The next chord comes now (and as much later as a host's block takes), what follows when it would have.
        assert_eq!(stage.planned(), [(89, 72), (89, 76)], "{trigger:?}");
        stage.made(&[(24, 79), (48, 77)]);
        assert_eq!(stage.planned()[2..], [(89, 79), (108, 77)], "{trigger:?}");
        let ends: Vec<f64> = stage.notes.iter().take(2).map(|note| note.at.0 + note.len.0).collect();
        assert!(ends.iter().all(|end| (end - 4.25).abs() < 1e-6), "it ends where it would have: {ends:?}");
    }
}

#[test]
fn a_guess_is_short_and_goes_on_when_somebody_asks() {
    let mut stage = Stage::after_a_phrase(settings(Trigger::Key, Quantise::Beat), 22);
    let (asked, guess) = (stage.fake.asked(), stage.fake.newest());
    assert_eq!((guess.start, guess.end), (4 * BEAT, 6 * BEAT), "two beats of it");
    stage.made(&[(0, 72), (24, 74)]);
    stage.fake.end();
    stage.work();
    assert_eq!(stage.fake.asked(), asked);
    stage.ask();
    stage.go(1);
    let rest = stage.fake.newest();
    assert_eq!((stage.fake.asked(), rest.start, rest.end), (asked + 1, 6 * BEAT, 12 * BEAT));
    assert!(rest.history.iter().any(|event| event.key.0 == 74), "what was guessed is known");
    stage.made(&[(6, 76)]);
    assert_eq!(stage.planned().last(), Some(&(147, 76)));
    assert_eq!(stage.fake.open(), 1);
}

#[test]
fn guesses_replace_each_other_and_come_only_where_they_are_needed() {
    let mut stage = Stage::after_a_phrase(settings(Trigger::Key, Quantise::Beat), 12);
    let asked = stage.fake.asked();
    assert!(asked >= 1);
    stage.go(24);
    assert_eq!(stage.fake.asked(), asked, "one at a time");
    stage.made(&[(0, 72)]);
    stage.go(12);
    assert_eq!((stage.fake.asked(), stage.fake.open()), (asked + 1, 1));
    // What it has not heard for half a beat nobody wants.
    stage.go(11);
    stage.made(&[(0, 73)]);
    stage.set(Settings { temperature: 0.9, ..stage.settings });
    assert_eq!(stage.fake.open(), 0, "it was made with other settings");
    // Where there is time until the bar line, nothing is guessed.
    let mut stage = Stage::new(settings(Trigger::Key, Quantise::Bar));
    stage.strike(60);
    stage.go(72);
    assert_eq!(stage.fake.asked(), 0);
    stage.go(12);
    assert_eq!(stage.fake.asked(), 1);
    // And an answer that has time to hear the last notes does.
    let mut stage = Stage::after_a_phrase(settings(Trigger::Key, Quantise::FourBars), 0);
    stage.ask();
    stage.go(1);
    assert_eq!((stage.fake.asked(), stage.fake.newest().start), (1, 16 * BEAT));
}

#[test]
fn a_guess_that_is_not_there_or_too_old_is_none() {
    for (waits, says) in [(4, &[][..]), (4, &[(0, 72)]), (14, &[(0, 72), (24, 74), (48, 76)])] {
        let mut stage = Stage::after_a_phrase(settings(Trigger::Key, Quantise::None), 12);
        let asked = stage.fake.asked();
        stage.go(waits);
        stage.made(says);
        stage.ask();
        stage.go(1);
        assert_eq!(stage.fake.asked(), asked + 1, "it is asked anew");
        assert_eq!(stage.notes, []);
    }
}

#[test]
fn a_machine_that_does_not_keep_up_guesses_nothing() {
    let mut stage = Stage::new(settings(Trigger::Key, Quantise::None));
    stage.mind.pace.of("fake");
    (0..4).for_each(|_| stage.mind.pace.waited(0.4));
    stage.phrase();
    assert_eq!(stage.fake.asked(), 0);
    stage.ask();
    stage.go(1);
    assert_eq!(stage.fake.asked(), 1);
}

#[test]
fn a_host_that_stops_is_not_answered() {
    // A beat of silence after a stop ends no phrase that was played before it.
    let mut stage = Stage::new(settings(Trigger::Automatic, Quantise::Beat));
    stage.phrase();
    stage.playing = false;
    stage.cut(Cut::Transport);
    stage.go(96);
    assert_eq!(stage.fake.asked(), 0);
    // What is played while it stands still is another phrase.
    stage.phrase();
    stage.go(48);
    assert_eq!(stage.fake.asked(), 1);
    // A host that starts ends nothing.
    let mut stage = Stage::new(settings(Trigger::Automatic, Quantise::Beat));
    stage.playing = false;
    stage.phrase();
    stage.playing = true;
    stage.cut(Cut::Transport);
    stage.go(48);
    assert_eq!(stage.fake.asked(), 1);
}

#[test]
fn nobody_plays_along_with_a_host_that_stopped() {
    let mut stage = Stage::new(Settings { mode: Mode::Duet, ..Settings::default() });
    stage.phrase();
    assert!(stage.fake.asked() > 0);
    stage.made(&[(0, 72)]);
    stage.playing = false;
    stage.cut(Cut::Transport);
    let asked = stage.fake.asked();
    stage.go(8 * 24);
    assert_eq!(stage.fake.asked(), asked);
    stage.strike(60);
    stage.go(1);
    assert_eq!(stage.fake.asked(), asked + 1, "the player goes on");
    stage.made(&[(0, 72)]);
    // Nor after a panic.
    stage.cut(Cut::Silence);
    let (at, epoch) = (stage.now(), Epoch(stage.epoch));
    stage.say(ToWorker::Press { at, press: Press::Panic, epoch });
    stage.go(4 * 24);
    assert_eq!(stage.fake.asked(), asked + 1);
}

#[test]
fn after_a_seek_the_next_plan_is_made_at_once() {
    let mut stage = Stage::new(Settings { mode: Mode::Duet, ..Settings::default() });
    stage.phrase();
    stage.made(&[(0, 72)]);
    // Without notes of the player the next plan would come two beats after this one.
    stage.go(14);
    stage.made(&[(0, 72)]);
    let asked = stage.fake.asked();
    stage.cut(Cut::Seek);
    stage.go(1);
    assert_eq!(stage.fake.asked(), asked + 1);
}

#[test]
fn who_holds_goes_on_after_a_seek_until_the_player_is_back() {
    let hold =
        || Stage::after_a_phrase(Settings { mode: Mode::Hold, ..settings(Trigger::Key, Quantise::Beat) }, 0);
    for why in [Cut::Seek, Cut::Yield, Cut::Silence, Cut::Transport] {
        let mut stage = hold();
        stage.ask();
        stage.go(1);
        stage.made(&[(0, 72), (48, 74)]);
        stage.go(60);
        let asked = stage.fake.asked();
        stage.cut(why);
        stage.go(24);
        let more = usize::from(why == Cut::Seek);
        assert_eq!(stage.fake.asked(), asked + more, "{why:?}");
    }
    // Nobody can answer for a while; then the player is back.
    let mut stage = hold();
    stage.ask();
    stage.go(1);
    stage.made(&[(0, 72)]);
    stage.go(60);
    let maker = stage.mind.engines.pretended.take();
    stage.cut(Cut::Seek);
    stage.mind.engines.pretended = maker;
    let asked = stage.fake.asked();
    stage.strike(60);
    (0..64).for_each(|_| stage.mind.pace.waited(9.0));
    stage.go(30);
    assert_eq!(stage.fake.asked(), asked, "it yields");
}

#[test]
fn density_falls_before_notes_are_late_and_to_no_less_than_it_should() {
    let wanted = 0.8;
    let mut stage =
        Stage::new(Settings { density: wanted, bars: 4, ..settings(Trigger::Automatic, Quantise::Beat) });
    stage.phrase();
    stage.ask();
    stage.go(1);
    let first = stage.fake.newest();
    assert!((first.constraints.density - wanted).abs() < 1e-6);
    // It says two beats, and then is busy elsewhere.
    stage.made(&[(0, 72), (48, 74), (90, 76)]);
    let (mut asks, mut densities) = (stage.fake.asked(), Vec::new());
    let mut frontier = 6.0 - 0.125;
    for _ in 0..12 * 24 {
        stage.go(1);
        let now = f64::from(stage.step - 1) / 24.0;
        if stage.fake.asked() == asks {
            continue;
        }
        asks = stage.fake.asked();
        let newest = stage.fake.newest();
        let start = f64::from(newest.start) / f64::from(BEAT);
        assert!(now < frontier, "at {now}: what follows {frontier} is late before it is asked for");
        assert!(start > now && start > frontier, "from {start} at {now}");
        densities.push(newest.constraints.density);
        // Again only a little, and in time.
        stage.made(&[(0, 71), (12, 72)]);
        frontier = start + 0.25;
    }
    assert!(densities.len() > 3 && densities.is_sorted_by(|a, b| a >= b), "{densities:?}");
    assert!((densities[0] - 0.7 * wanted).abs() < 1e-6, "{densities:?}");
    assert!((densities[1] - 0.49 * wanted).abs() < 1e-6, "{densities:?}");
    assert!(densities.iter().all(|density| *density >= 0.3 * wanted - 1e-6), "{densities:?}");
}

#[test]
fn what_is_left_of_an_answer_that_is_nearly_over_is_not_asked_for() {
    let mut stage = Stage::new(Settings { bars: 1, ..settings(Trigger::Automatic, Quantise::Beat) });
    stage.phrase();
    stage.ask();
    stage.go(1);
    // It ends at beat 8 and comes to a sixteenth before it.
    stage.made(&[(0, 72), (3 * BEAT + 36, 76)]);
    let asked = stage.fake.asked();
    stage.go(115);
    assert_eq!((stage.fake.asked(), stage.mind.picture.message.as_str()), (asked, ""));
    assert!(stage.mind.asking.as_ref().is_none_or(|asking| asking.done));
}

#[test]
fn another_maker_is_measured_anew() {
    let mut stage = Stage::new(settings(Trigger::Parameter, Quantise::Beat));
    stage.phrase();
    stage.ask();
    stage.go(1);
    stage.mind.pace.waited(3.0);
    assert!(stage.mind.pace.p95() > 2.0);
    stage.phrase();
    let another = Arc::new(Fake::default());
    stage.mind.engines.pretended = Some(Maker::Fake(Arc::clone(&another), "another"));
    stage.ask();
    stage.go(1);
    assert!(another.asked() == 1 && stage.mind.pace.p95() < 2.0);
}

#[test]
fn what_is_heard_until_the_next_beat_belongs_to_the_history() {
    let mut stage = Stage::after_a_phrase(settings(Trigger::Automatic, Quantise::Beat), 0);
    stage.ask();
    stage.go(1);
    stage.made(&[(0, 72), (24, 74), (36, 76), (48, 77)]);
    stage.go(24 + 6);
    // At beat 4.3 the player comes in, and the answer yields at beat 5.
    stage.cut_at(Cut::Yield, Beats(5.0));
    let heard: Vec<u8> = stage.mind.history.answered().map(|note| note.key.0).collect();
    assert_eq!(heard, [72, 74, 76]);
}

#[test]
fn who_waits_for_an_accompaniment_without_a_transport_is_told() {
    let mut stage = Stage::new(Settings { mode: Mode::Accompany, ..Settings::default() });
    stage.playing = false;
    stage.go(12);
    assert_eq!(stage.mind.picture.message, "", "there is nothing to play around");
    let note = crate::state::TakeNote { at: 0.0, len: 1.0, key: 60, velocity: 80, instrument: 0, channel: 0 };
    stage.mind.takes.keep(Take { notes: vec![note], ..Take::default() });
    stage.go(12);
    assert_eq!(stage.mind.picture.message, around::STANDS);
    stage.playing = true;
    stage.go(12);
    assert_eq!(stage.mind.picture.message, "");
}
