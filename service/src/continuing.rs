//! `continuo continue`: a file in, the file with an answer out.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::{Args, value_parser};
use continuo_inference::{Event, Model, Prompt, Sampling, Session, TimeFrame};
use continuo_timeline::{Beats, Channel, Instrument, Note, Velocity};
use serde_json::{Value, json};

use crate::song::Song;
use crate::{render, roll};

/// Arguments of `continuo continue`.
#[derive(Args)]
pub struct Continue {
    /// The MIDI file to continue (type 0 or 1).
    input: PathBuf,
    /// Where the continued file is written.
    #[arg(short, long, value_name = "OUT.mid")]
    output: PathBuf,
    /// Length of the answer in bars (8 if neither --bars nor --seconds is given).
    #[arg(long, value_parser = value_parser!(u16).range(1..=256), conflicts_with = "seconds")]
    bars: Option<u16>,
    /// Length of the answer in seconds, at the tempo of the file's end.
    #[arg(long, value_name = "S")]
    seconds: Option<f64>,
    /// A checkpoint folder or a compact model file; the built-in model if absent.
    #[arg(long, value_name = "PATH")]
    model: Option<PathBuf>,
    /// Seed of all random draws: the same seed gives the same notes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Softmax temperature, 0.01 to 2: lower is safer, higher is wilder.
    #[arg(long, default_value_t = 1.0)]
    temperature: f32,
    /// Nucleus mass, 0 to 1; 0 always takes the likeliest.
    #[arg(long, default_value_t = 0.95)]
    top_p: f32,
    /// Also render the result through the built-in sound to a WAV file (48 kHz, stereo).
    #[arg(long, value_name = "OUT.wav")]
    render: Option<PathBuf>,
    /// Also draw a piano roll of the result to a PNG file.
    #[arg(long, value_name = "OUT.png")]
    picture: Option<PathBuf>,
}

/// Beats and ticks of one model: tick 0 is the bar line `origin`.
struct Scale {
    origin: Beats,
    ticks_per_beat: f64,
}

impl Scale {
    fn tick(&self, at: Beats) -> i32 {
        #[allow(clippy::cast_possible_truncation)] // a song of 10^7 beats is refused before
        let tick = ((at.0 - self.origin.0) * self.ticks_per_beat).round() as i32;
        tick
    }

    fn beat(&self, tick: i32) -> Beats {
        Beats(self.origin.0 + f64::from(tick) / self.ticks_per_beat)
    }
}

impl Continue {
    /// Runs the command; gives what is printed.
    pub fn run(&self) -> Result<Value> {
        self.check()?;
        let song = Song::read(&self.input)?;
        let model = self.load()?;
        let start = song.bar_after(song.end());
        let end = Beats(start.0 + self.length(&song, start)?);
        let scale = scale(&model, &song, start);
        let answer = self.answer(&song, &model, &scale, (start, end))?;
        let bytes = song.with_answer(&answer);
        std::fs::write(&self.output, bytes).with_context(|| {
            format!("cannot write {}; check the folder and its rights", self.output.display())
        })?;
        self.extras(&song, &answer, end)?;
        Ok(json!({
            "output": self.output, "render": self.render, "picture": self.picture,
            "model": model.name(), "seed": self.seed, "temperature": self.temperature, "top_p": self.top_p,
            "prompt_notes": song.notes.len(), "answer_notes": answer.len(),
            "answer_from_beat": start.0, "answer_to_beat": end.0, "tempo_bpm": song.tempo(start).0,
        }))
    }

    fn check(&self) -> Result<()> {
        if !(0.01..=2.0).contains(&self.temperature) {
            bail!("--temperature {} is outside 0.01 to 2", self.temperature);
        }
        if !(0.0..=1.0).contains(&self.top_p) {
            bail!("--top-p {} is outside 0 to 1", self.top_p);
        }
        Ok(())
    }

    fn load(&self) -> Result<Arc<Model>> {
        Ok(match &self.model {
            Some(path) => Model::load(path)?,
            None => Model::from_compact(continuo_models::DEFAULT)?,
        })
    }

    /// Length of the answer in beats.
    fn length(&self, song: &Song, start: Beats) -> Result<f64> {
        match self.seconds {
            Some(seconds) if seconds > 0.0 && seconds <= 600.0 => Ok(seconds * song.tempo(start).0 / 60.0),
            Some(seconds) => {
                bail!("--seconds {seconds} is outside 0 to 600; continue the result again for more")
            }
            None => Ok(f64::from(self.bars.unwrap_or(8)) * song.meter(start).1.bar().0),
        }
    }

    fn answer(
        &self,
        song: &Song,
        model: &Arc<Model>,
        scale: &Scale,
        span: (Beats, Beats),
    ) -> Result<Vec<Note>> {
        let (start, end) = (scale.tick(span.0), scale.tick(span.1));
        let history: Vec<Event> = history(song, scale);
        let progress = bar(u64::try_from(end - start).unwrap_or(0));
        let mut session = Session::new(Arc::clone(model));
        session.begin(Prompt {
            history,
            start,
            end,
            instruments: None,
            max_per_onset: 8,
            sampling: Sampling { temperature: self.temperature, top_p: self.top_p, seed: self.seed },
            ..Prompt::default()
        })?;
        let dynamics = Dynamics::of(&song.notes);
        let mut answer = Vec::new();
        while let Some(event) = session.next_note()? {
            progress.set_position(u64::try_from(event.onset - start).unwrap_or(0));
            answer.push(dynamics.note(&event, scale, span.1));
        }
        progress.finish_and_clear();
        if answer.is_empty() {
            bail!(
                "the model played nothing after {}; try another --seed or a higher --temperature",
                self.input.display()
            );
        }
        Ok(answer)
    }

    fn extras(&self, song: &Song, answer: &[Note], end: Beats) -> Result<()> {
        if let Some(path) = &self.render {
            let all: Vec<Note> = song.notes.iter().chain(answer).copied().collect();
            render::render(path, &all, |at| song.seconds(at))?;
        }
        if let Some(path) = &self.picture {
            let mut bars = vec![song.bar_before(song.notes.first().map_or(Beats(0.0), |note| note.at))];
            while let Some(&last) = bars.last().filter(|last| last.0 < end.0) {
                bars.push(song.bar_after(Beats(last.0 + 0.01)));
            }
            let file =
                std::fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
            roll::draw(std::io::BufWriter::new(file), &song.notes, answer, &bars)?;
        }
        Ok(())
    }
}

/// The prompt reaches back at most this many notes, and 180 beats.
const REACH: usize = 400;

fn scale(model: &Model, song: &Song, start: Beats) -> Scale {
    let ticks_per_beat = match model.frame() {
        TimeFrame::Beats { ticks_per_beat } => f64::from(ticks_per_beat),
        TimeFrame::Seconds => 100.0 * 60.0 / song.tempo(start).0,
    };
    // 80 s in the model's ticks is what it knows well.
    let reach = 8000.0 / ticks_per_beat;
    let from = song.notes.len().saturating_sub(REACH);
    let first =
        song.notes.iter().skip(from).find(|note| note.at.0 >= start.0 - reach).map_or(start, |note| note.at);
    Scale { origin: song.bar_before(first), ticks_per_beat }
}

fn history(song: &Song, scale: &Scale) -> Vec<Event> {
    let from = song.notes.len().saturating_sub(REACH);
    let mut events: Vec<Event> = song
        .notes
        .iter()
        .skip(from)
        .filter(|note| note.at.0 >= scale.origin.0 - 1e-9)
        .map(|note| Event {
            onset: scale.tick(note.at),
            duration: (scale.tick(note.at + note.len) - scale.tick(note.at)).clamp(1, 999),
            instrument: note.instrument,
            key: note.key,
        })
        .collect();
    events.sort_unstable();
    events
}

/// Loudness of what was played, by instrument, to give the answer the same.
struct Dynamics {
    parts: Vec<(Instrument, Channel, f64)>,
}

impl Dynamics {
    fn of(notes: &[Note]) -> Self {
        let mut parts: Vec<(Instrument, Channel, f64, f64)> = Vec::new();
        for note in notes {
            match parts.iter_mut().find(|part| part.0 == note.instrument) {
                Some(part) => {
                    part.2 += f64::from(note.velocity.0);
                    part.3 += 1.0;
                }
                None => parts.push((note.instrument, note.channel, f64::from(note.velocity.0), 1.0)),
            }
        }
        Self { parts: parts.into_iter().map(|(i, c, sum, count)| (i, c, sum / count)).collect() }
    }

    fn note(&self, event: &Event, scale: &Scale, end: Beats) -> Note {
        let (channel, mean) = self
            .parts
            .iter()
            .find(|part| part.0 == event.instrument)
            .map_or((Channel(if event.instrument.is_drums() { 9 } else { 0 }), 80.0), |part| {
                (part.1, part.2)
            });
        let at = scale.beat(event.onset);
        let until = scale.beat(event.onset + event.duration.max(1)).0.min(end.0);
        // Beats are leaned on a little, off-beats held back.
        let accent = if (at.0 - at.0.round()).abs() < 0.02 { 4.0 } else { -3.0 };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let velocity = (mean + accent).round().clamp(1.0, 127.0) as u8;
        Note {
            at,
            len: Beats((until - at.0).max(1.0 / 48.0)),
            key: event.key,
            velocity: Velocity(velocity),
            instrument: event.instrument,
            channel,
        }
    }
}

fn bar(length: u64) -> indicatif::ProgressBar {
    let bar = indicatif::ProgressBar::new(length);
    if let Ok(style) = indicatif::ProgressStyle::with_template("{bar:40} {percent}% of the answer") {
        bar.set_style(style);
    }
    bar
}
