//! What takes say of where they came from.

use continuo_timeline::Quantise;

use super::*;
use crate::state::TakeNote;

impl Stage {
    /// *Keep that*, and what was kept.
    fn keep(&mut self) -> Take {
        let before = self.mind.takes.takes().len();
        self.press(Press::Keep);
        let mut takes = self.mind.takes.takes();
        assert_eq!(takes.len(), before + 1);
        takes.pop().unwrap()
    }

    /// An answer of two notes to what was played, heard.
    fn answered(&mut self, key: u8) {
        self.ask();
        self.go(1);
        self.made(&[(0, key), (24, key + 2)]);
        self.go(48);
    }

    /// So many grid points; whatever is asked meanwhile is answered with a note.
    fn accompanied(&mut self, steps: u32) {
        for _ in 0..steps {
            let asked = self.fake.asked();
            self.go(1);
            if self.fake.asked() > asked {
                self.made(&[(0, 50), (24, 52)]);
            }
        }
    }
}

/// Eight beats of a tune.
fn tune() -> Take {
    let note = |beat: u8| TakeNote {
        at: f64::from(beat),
        len: 1.0,
        key: 60 + beat,
        velocity: 80,
        instrument: 0,
        channel: 0,
    };
    Take { notes: (0..8).map(note).collect(), ..Take::default() }
}

#[test]
fn a_take_names_those_that_the_model_had_heard() {
    let played = |keeps: bool| {
        let mut stage = Stage::after_a_phrase(settings(Trigger::Automatic, Quantise::Beat), 0);
        stage.answered(72);
        let first = if keeps { vec![stage.keep().id] } else { vec![] };
        stage.cut(Cut::Yield);
        stage.phrase();
        stage.answered(76);
        let second = stage.keep();
        // The same once more, and elsewhere on the line.
        stage.cut(Cut::Again);
        stage.press(Press::Again);
        stage.go(1);
        stage.made(&[(0, 79)]);
        stage.go(48);
        (first, second, stage.keep())
    };
    let (first, second, again) = played(true);
    assert_eq!((&second.after, &again.after), (&first, &first));
    assert!(first.len() == 1 && second.around.is_empty());
    assert!(again.context == second.context && again.id != second.id && again.notes[0].key == 79);
    let (first, second, again) = played(false);
    assert!(first.is_empty() && second.after.is_empty() && again.after.is_empty());
}

#[test]
fn an_accompaniment_names_the_take_that_it_was_played_around() {
    let settings = Settings { mode: Mode::Accompany, bars: 1, seed: 7, ..Settings::default() };
    let mut stage = Stage::new(settings);
    stage.mind.takes.keep(tune());
    let tune = stage.mind.takes.takes().remove(0).id;
    stage.accompanied(48);
    let take = stage.keep();
    assert_eq!((&take.around[..], &take.after[..], take.seed), (&[tune][..], &[][..], 7));
    assert_eq!(take.asked.as_ref().map(|asked| (asked.mode.as_str(), asked.bars)), Some(("Accompany", 1)));
    assert_eq!(stage.mind.picture.take, "take 2 by fake, around take 1");
    // What is played along with the player alone is around nothing.
    stage.set(Settings { mode: Mode::Duet, ..settings });
    stage.go(8 * 24);
    stage.strike(60);
    stage.accompanied(48);
    assert_eq!(stage.keep().around, [""; 0]);
}

#[test]
fn a_take_of_a_project_that_is_gone_is_not_named() {
    let mut stage = Stage::after_a_phrase(settings(Trigger::Automatic, Quantise::Beat), 0);
    stage.answered(72);
    stage.keep();
    stage.cut(Cut::Yield);
    stage.mind.takes.load("");
    stage.phrase();
    stage.answered(76);
    assert_eq!(stage.keep().after, [""; 0]);
}

#[test]
fn the_next_answer_does_not_grow_a_take_of_the_one_before() {
    let mut stage = Stage::after_a_phrase(settings(Trigger::Automatic, Quantise::Beat), 0);
    stage.answered(72);
    stage.cut(Cut::Again);
    stage.press(Press::Again);
    stage.go(1);
    // It is on its way, and nothing of it was heard.
    let kept = stage.keep();
    stage.made(&[(0, 79)]);
    // However often more of it is asked for, there is none.
    for _ in 0..48 {
        stage.fake.end();
        stage.go(1);
    }
    assert_eq!(stage.mind.takes.takes(), [kept]);
    assert!(stage.notes.iter().any(|note| note.key.0 == 79));
}

#[test]
fn an_answer_that_a_seek_broke_off_stays_in_its_place() {
    let mut stage = Stage::after_a_phrase(settings(Trigger::Automatic, Quantise::Beat), 0);
    stage.ask();
    stage.go(1);
    stage.made(&[(0, 72), (24, 74), (8 * BEAT, 76)]);
    stage.go(48);
    let before: Vec<f64> = stage.keep().notes.iter().map(|note| note.at).collect();
    // The song goes on 64 beats further; the line as it was.
    stage.elsewhere = 64.0;
    stage.cut(Cut::Seek);
    stage.go(24 * 10);
    let after: Vec<f64> = stage.keep().notes.iter().map(|note| note.at).collect();
    assert!(before.len() == 3 && before == after, "{before:?} {after:?}");
}

#[test]
fn an_answer_that_is_put_off_grows_its_take_all_the_same() {
    let mut stage = Stage::after_a_phrase(settings(Trigger::Automatic, Quantise::Beat), 0);
    stage.ask();
    // Its first note is late: all of it comes a beat or more later.
    stage.go(96);
    stage.made(&[(0, 72)]);
    stage.go(48);
    let kept = stage.keep();
    assert_eq!(kept.notes.len(), 1);
    stage.made(&[(48, 74)]);
    for _ in 0..96 {
        stage.fake.end();
        stage.go(1);
    }
    let takes = stage.mind.takes.takes();
    assert!(takes.len() == 1 && takes[0].id == kept.id && takes[0].notes.len() == 2, "{takes:?}");
}
