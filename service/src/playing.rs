//! What all commands that play have in common: the model, how it draws, and where the result goes.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use continuo_inference::{Prompt, Sampling, TimeFrame};
use continuo_music::frame::Frame;
use continuo_timeline::{Beats, Note};
use serde_json::{Value, json};

use crate::models;
use crate::placing::Placing;
use crate::player::Player;
use crate::showing::Showing;
use crate::song::Song;

/// Arguments of every command that plays.
#[derive(Args)]
pub struct Playing {
    /// Where the MIDI file is written.
    #[arg(short, long, value_name = "OUT.mid")]
    pub output: PathBuf,
    /// A checkpoint folder, a compact model file, or a name (`continuo models list`, and `continuo models fetch
    /// small` for one of the Stanford checkpoints); the built-in model if absent.
    #[arg(long, value_name = "PATH")]
    model: Option<String>,
    /// A service that plays instead of this machine: http://host:2011. --model is small, medium or large then.
    #[arg(long, value_name = "URL", env = "CONTINUO_ENGINE")]
    engine: Option<String>,
    /// The token that it wants.
    #[arg(long, env = "CONTINUO_ENGINE_TOKEN", hide_env_values = true)]
    engine_token: Option<String>,
    /// Seed of all random draws: the same seed gives the same notes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Softmax temperature, 0.01 to 2: lower is safer, higher is wilder.
    #[arg(long, default_value_t = 1.0)]
    temperature: f32,
    /// Nucleus mass, 0 to 1; 0 always takes the likeliest.
    #[arg(long, default_value_t = 0.95)]
    top_p: f32,
    #[command(flatten)]
    showing: Showing,
}

/// The frame of a model: tick 0 is the bar line `origin`, and a tick in seconds is one at the tempo there.
pub fn frame(time: TimeFrame, song: &Song, origin: Beats, at: Beats) -> Frame {
    match time {
        TimeFrame::Beats { ticks_per_beat } => Frame::beats(ticks_per_beat, origin),
        TimeFrame::Seconds => Frame::seconds(song.tempo(at), origin),
    }
}

impl Playing {
    /// Who plays, once the arguments are known to be sound.
    pub fn player(&self) -> Result<Player> {
        if !(0.01..=2.0).contains(&self.temperature) {
            bail!("--temperature {} is outside 0.01 to 2", self.temperature);
        }
        if !(0.0..=1.0).contains(&self.top_p) {
            bail!("--top-p {} is outside 0 to 1", self.top_p);
        }
        match &self.engine {
            Some(address) => Player::there(address, self.engine_token.as_deref(), self.model.as_deref()),
            None => models::load_to_play(self.model.as_deref()).map(Player::Here),
        }
    }

    /// How answers are drawn.
    pub fn sampling(&self) -> Sampling {
        Sampling { temperature: self.temperature, top_p: self.top_p, seed: self.seed }
    }

    /// Answers `prompt`, with a bar on stderr. At least a note, or an error.
    pub fn play(&self, player: &Player, prompt: Prompt, placing: &Placing<'_>) -> Result<Vec<Note>> {
        let start = prompt.start;
        let prompt = Prompt { bar: Some(placing.bar_at(start)), ..prompt };
        let progress = indicatif::ProgressBar::new(u64::try_from(prompt.end - start).unwrap_or(0));
        if let Ok(style) = indicatif::ProgressStyle::with_template("{bar:40} {percent}% of the answer") {
            progress.set_style(style);
        }
        let events = player.answer(prompt, &mut |event| {
            progress.set_position(u64::try_from(event.onset - start).unwrap_or(0));
        })?;
        progress.finish_and_clear();
        if events.is_empty() {
            bail!("the model played nothing; try another --seed or a higher --temperature");
        }
        Ok(events.iter().map(|event| placing.note(event)).collect())
    }

    /// Writes `song` with `answer`, and what else was asked for; gives the report.
    pub fn finish(&self, song: &Song, answer: &[Note], player: &Player) -> Result<Value> {
        std::fs::write(&self.output, song.with_answer(answer, None)).with_context(|| {
            format!("cannot write {}; check the folder and its rights", self.output.display())
        })?;
        self.showing.show(song, &song.notes, answer)?;
        Ok(json!({
            "output": self.output, "render": self.showing.render, "picture": self.showing.picture,
            "model": player.name(), "seed": self.seed, "temperature": short(self.temperature), "top_p": short(self.top_p),
            "prompt_notes": song.notes.len(), "answer_notes": answer.len(),
        }))
    }
}

/// A number as it was typed: 0.95, not the nearest f32 in 16 digits.
fn short(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::from(number))
}
