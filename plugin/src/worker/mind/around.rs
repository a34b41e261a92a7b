//! What *Accompany* plays around: the newest take, where it lies on the line, and what of it is left to the model.

use continuo_timeline::{Beats, Instrument, Mode, Note, Settings, Tick};

use super::Mind;
use crate::state::Take;

/// The take around the playhead.
pub struct Around {
    /// What the wanted instruments played of it so far: music that is to go on.
    pub before: Vec<Note>,
    /// The rest: known beforehand, and no music of the model's.
    pub controls: Vec<Note>,
    /// Which take that is, where any of it is near.
    pub take: Option<String>,
}

impl Around {
    /// Where what is known ends.
    pub fn end(&self) -> f64 {
        self.controls.iter().map(|note| note.at.0 + note.len.0).fold(f64::NEG_INFINITY, f64::max)
    }
}

impl Mind {
    /// The take from four bars back to four bars ahead, nothing where it does not play.
    pub(super) fn around(&self, tick: &Tick, settings: &Settings) -> Around {
        let plays = settings.mode == Mode::Accompany && tick.playing;
        let Some(take) = plays.then(|| self.takes.sounding()).flatten() else {
            return Around { before: Vec::new(), controls: Vec::new(), take: None };
        };
        let left = left_to_the_model(&take, settings);
        let notes = take.notes.iter().map(|note| note.note());
        let notes: Vec<Note> = notes.filter(|note| !left.contains(&note.instrument)).collect();
        let placed = placed(&notes, tick, 4.0 * tick.meter.bar().0);
        let wanted: Vec<Instrument> = settings.parts().collect();
        let near = (!placed.is_empty()).then(|| take.id.clone());
        let (before, controls) =
            placed.into_iter().partition(|note| note.at.0 < tick.at.0 && wanted.contains(&note.instrument));
        Around { before, controls, take: near }
    }
}

/// What is said to a player who waits for an accompaniment that cannot come.
pub const STANDS: &str =
    "Accompany plays around a take, at its place in the song: start the host's transport.";

impl Mind {
    /// Says where there is a take to play around and no transport that comes to it.
    pub(super) fn say_if_it_stands(&mut self, tick: &Tick, settings: &Settings) {
        let waits = settings.mode == Mode::Accompany && !tick.playing;
        let stands = waits && self.takes.sounding().is_some();
        let said = self.picture.message == STANDS;
        if stands != said && (said || self.picture.message.is_empty()) {
            let message = if stands { STANDS } else { "" };
            self.show(|picture| picture.message = message.into());
        }
    }
}

/// Instruments of a take that the model plays instead: those that the player chose, if there are others to play around.
pub fn left_to_the_model(take: &Take, settings: &Settings) -> Vec<Instrument> {
    if settings.mode != Mode::Accompany || settings.answer.is_none() {
        return Vec::new();
    }
    let has = |part: &Instrument| take.notes.iter().any(|note| note.note().instrument == *part);
    let left: Vec<Instrument> = settings.parts().filter(has).collect();
    let others = take.notes.iter().any(|note| !left.contains(&note.note().instrument));
    if others { left } else { Vec::new() }
}

/// Notes at song positions, on the line, so many beats around now. Where the host loops they come round.
fn placed(notes: &[Note], tick: &Tick, reach: f64) -> Vec<Note> {
    let shift = tick.at.0 - tick.song.0;
    let near = |at: f64| (at - tick.at.0).abs() <= reach;
    let Some((wrap, length)) = tick.wrap.filter(|(_, length)| length.0 > 0.0) else {
        let moved = notes.iter().map(|note| Note { at: Beats(note.at.0 + shift), ..*note });
        return moved.filter(|note| near(note.at.0)).collect();
    };
    let end = wrap.0 - shift;
    let inside = |note: &&Note| (end - length.0 - 1e-6..end - 1e-6).contains(&note.at.0);
    #[allow(clippy::cast_possible_truncation)] // a few rounds
    let rounds = (reach / length.0).ceil().min(64.0) as i32;
    let mut all = Vec::new();
    for round in -rounds..=rounds {
        let by = shift + f64::from(round) * length.0;
        let moved = notes.iter().filter(inside).map(|note| Note { at: Beats(note.at.0 + by), ..*note });
        all.extend(moved.filter(|note| near(note.at.0)));
    }
    all
}

#[cfg(test)]
mod tests {
    use continuo_timeline::{Channel, Key, Velocity};

    use super::*;
    use crate::state::TakeNote;
    use crate::worker::tests::grid_point;

    fn note(at: f64, instrument: u8) -> Note {
        let (velocity, channel) = (Velocity(80), Channel(0));
        Note {
            at: Beats(at),
            len: Beats(1.0),
            key: Key(60),
            velocity,
            instrument: Instrument(instrument),
            channel,
        }
    }

    #[test]
    fn a_take_comes_round_with_the_loop() {
        let notes = [note(1.0, 0), note(3.0, 0), note(9.0, 0)];
        let at = |tick: &Tick| {
            let mut all: Vec<f64> = placed(&notes, tick, 8.0).iter().map(|note| note.at.0).collect();
            all.sort_by(f64::total_cmp);
            all
        };
        // The line is at 20 where the song is at 2.
        assert_eq!(at(&grid_point(20.0, 2.0, None)), [19.0, 21.0, 27.0]);
        // A loop of four beats from the start of the song wraps at 22.
        assert_eq!(
            at(&grid_point(20.0, 2.0, Some((22.0, 4.0)))),
            [13.0, 15.0, 17.0, 19.0, 21.0, 23.0, 25.0, 27.0]
        );
    }

    #[test]
    fn chosen_instruments_of_a_take_are_left_to_the_model_where_others_play() {
        let take = |instruments: &[u8]| {
            let note = |&instrument: &u8| TakeNote {
                at: 0.0,
                len: 1.0,
                key: 60,
                velocity: 80,
                instrument,
                channel: 0,
            };
            Take { notes: instruments.iter().map(note).collect(), ..Take::default() }
        };
        let settings = |answer| Settings { mode: Mode::Accompany, answer, ..Settings::default() };
        let bass = settings(Some(Instrument(32)));
        assert_eq!(left_to_the_model(&take(&[0, 32]), &bass), [Instrument(32)]);
        assert_eq!(left_to_the_model(&take(&[32, 32]), &bass), []);
        assert_eq!(left_to_the_model(&take(&[0, 32]), &settings(None)), []);
        assert_eq!(left_to_the_model(&take(&[0, 32]), &Settings { mode: Mode::Duet, ..bass }), []);
    }
}
