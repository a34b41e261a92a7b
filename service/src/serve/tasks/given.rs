//! A file that came with a request, in the time of the model that is asked, and where its bar lines are there.
//!
//! For models that count in 10 ms a file is brought to that clock first, as the reference does: 50 ticks a beat
//! at 120 beats a minute. Its bars stay those that it came with.

use std::path::Path;

use continuo_inference::midi::Midi;
use continuo_inference::{Model, TimeFrame, compound};
use continuo_timeline::{Beats, Bpm, Meter};

use super::page::CLOCK;
use crate::serve::failure::Failure;
use crate::song::Song;

/// Longest file that is read, in seconds.
const LONGEST: f64 = 6.0 * 3600.0;
/// Quarter notes a minute that a file may have. What is slower than the least no file can say.
const FASTEST: f64 = 1000.0;

/// A file that came.
pub struct Given {
    /// The file in the model's time.
    pub song: Song,
    /// The file in its own beats, where the model counts in seconds.
    own: Option<Song>,
}

/// A bar line of a file.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// Where it is in [`Given::song`].
    pub at: Beats,
    /// The file's own tempo there.
    pub tempo: Bpm,
    /// The file's own meter there.
    pub meter: Meter,
}

/// A file for a model; `name` is the field that it came in.
pub fn open(model: &Model, name: &str, bytes: &[u8]) -> Result<Given, Failure> {
    let wrong = |error: String| Failure::field(name, format!("{name}: {error}"));
    let midi = Midi::parse(bytes).map_err(|error| wrong(error.to_string()))?;
    let parse = |bytes| Song::parse(Path::new(name), bytes).map_err(|error| wrong(error.to_string()));
    let (song, own) = match model.frame() {
        TimeFrame::Beats { .. } => (parse(bytes.to_vec())?, None),
        TimeFrame::Seconds => {
            let clocked = compound::to_midi(&released(compound::from_midi(&midi)));
            // What has no beats of its own (frames instead, say) has none for us either.
            (parse(clocked.map_err(|error| wrong(error.to_string()))?)?, parse(bytes.to_vec()).ok())
        }
    };
    let given = Given { song, own };
    given.check().map_err(wrong)?;
    Ok(given)
}

impl Given {
    fn check(&self) -> Result<(), String> {
        if self.song.notes.is_empty() {
            return Err("the file has no notes; send one with at least one".into());
        }
        // Seconds that are asked for become beats: at such a tempo they would be millions.
        let tempos = &self.own.as_ref().unwrap_or(&self.song).tempos;
        if let Some((at, tempo)) = tempos.iter().find(|(_, tempo)| tempo.0 > FASTEST) {
            return Err(format!(
                "the tempo at beat {:.0} is {:.0} a minute, and may be {FASTEST:.0}; export the file again",
                at.0, tempo.0
            ));
        }
        let seconds = self.song.seconds(self.song.end());
        if seconds > LONGEST {
            return Err(format!("the file lasts {seconds:.0} s, and may last {LONGEST:.0}"));
        }
        Ok(())
    }

    /// The bar line at which what follows begins.
    pub fn next_bar(&self) -> Line {
        let last = self.song.notes.last().map_or(0.0, |note| note.at.0);
        self.line(Song::next_bar, |ticks| (ticks - 1e-6).ceil(), |at| at.0 > last)
    }

    /// The bar line with which its first bar with notes begins.
    pub fn first_bar(&self) -> Line {
        let first = |song: &Song| song.notes.first().map_or(Beats(0.0), |note| note.at);
        let begins = first(&self.song);
        self.line(
            |song| song.bar_before(first(song)),
            |ticks| (ticks + 1e-6).floor(),
            |at| at.0 <= begins.0 + 1e-9,
        )
    }

    /// A bar line that is found in the file's own beats, on a whole tick of the clock; where that would be among the notes,
    /// one of the clock's.
    fn line(
        &self,
        find: impl Fn(&Song) -> Beats,
        whole: impl Fn(f64) -> f64,
        fits: impl Fn(Beats) -> bool,
    ) -> Line {
        let said = |song: &Song, there: Beats, at: Beats| Line {
            at,
            tempo: song.tempo(there),
            meter: song.meter(there).1,
        };
        let own = self.own.as_ref().map(|own| {
            let there = find(own);
            said(own, there, Beats(whole(100.0 * own.seconds(there)) / CLOCK))
        });
        own.filter(|line| fits(line.at)).unwrap_or_else(|| {
            let at = find(&self.song);
            said(&self.song, at, at)
        })
    }
}

/// Notes that are never released last 250 ms, as the reference's events say.
fn released(notes: Vec<compound::Compound>) -> Vec<compound::Compound> {
    let end = |note: compound::Compound| compound::Compound {
        duration: if note.duration < 0 { 25 } else { note.duration },
        ..note
    };
    notes.into_iter().map(end).collect()
}
