//! The real worker and whoever answers it, with the test in the place of the audio thread: it sends what is played and
//! the ticks, and keeps what comes back.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use continuo_plugin::link::{AudioSide, link};
use continuo_plugin::partner::PartnerStore;
use continuo_plugin::state::TakeStore;
use continuo_plugin::view::{Picture, View};
use continuo_plugin::worker::{Memory, Worker};
use continuo_timeline::{
    Beats, Bpm, Channel, Cut, Epoch, FromWorker, Key, Meter, Note, Press, Settings, Tick, ToWorker, Velocity,
};

use crate::host::Played;

const BAR: f64 = 4.0;

/// One instance's worker, and where the music stands.
pub struct Rehearsal {
    /// What the editor would see.
    pub view: Arc<View>,
    /// Its takes.
    pub takes: Arc<TakeStore>,
    /// Who answers.
    pub partner: Arc<PartnerStore>,
    /// Every note that was planned and not made void, in the order in which it came.
    pub notes: Vec<Note>,
    /// The take that plays.
    pub table: Vec<Note>,
    /// Where answers were said to end.
    pub ends: Vec<f64>,
    /// Song positions between which the host loops.
    pub looped: Option<(f64, f64)>,
    settings: Settings,
    tempo: f64,
    offline: bool,
    /// The grid point that comes next.
    step: u32,
    ticks: u64,
    epoch: Epoch,
    /// Until where an answer yields to a player who comes in.
    answers_until: f64,
    /// When the player struck a key last.
    struck: f64,
    audio: Option<AudioSide>,
    worker: Option<Worker>,
}

impl Rehearsal {
    /// A host that renders offline at 120 beats a minute: everything is waited for.
    pub fn offline(settings: Settings) -> Self {
        Self::new(settings, 120.0, true)
    }

    /// A host that plays at so many beats a minute on the wall clock.
    pub fn live(settings: Settings, tempo: f64) -> Self {
        Self::new(settings, tempo, false)
    }

    fn new(settings: Settings, tempo: f64, offline: bool) -> Self {
        let (view, takes, partner) = <(Arc<View>, Arc<TakeStore>, Arc<PartnerStore>)>::default();
        let memory = Memory::new(Arc::clone(&view), Arc::clone(&takes), Arc::clone(&partner));
        let mut rehearsal = Self {
            view,
            takes,
            partner,
            notes: Vec::new(),
            table: Vec::new(),
            ends: Vec::new(),
            looped: None,
            settings,
            tempo,
            offline,
            step: 0,
            ticks: 0,
            epoch: Epoch(0),
            answers_until: 0.0,
            struck: f64::NEG_INFINITY,
            audio: None,
            worker: None,
        };
        rehearsal.start(memory, Cut::Transport);
        rehearsal
    }

    fn start(&mut self, memory: Memory, why: Cut) {
        let (mut audio, side) = link();
        assert!(audio.send(ToWorker::Settings(self.settings)));
        self.ticks = 0;
        self.audio = Some(audio);
        self.worker = Some(Worker::start(side, memory));
        self.cut(why);
    }

    /// A new epoch: what was planned from now on dies unheard.
    fn cut(&mut self, why: Cut) {
        let now = self.now();
        self.epoch = Epoch(self.epoch.0 + 1);
        self.answers_until = 0.0;
        self.notes.retain(|note| note.at.0 < now.0);
        self.send(ToWorker::Epoch { at: now, heard: now, epoch: self.epoch, why });
    }

    /// The host changes its rate: another audio thread for the same instance.
    pub fn restart(&mut self) {
        drop(self.audio.take());
        let memory = self.worker.take().and_then(Worker::leave).expect("the worker ended in order");
        self.start(memory, Cut::Restart);
    }

    /// Where the music stands on the line.
    pub fn now(&self) -> Beats {
        Beats(f64::from(self.step) / 24.0)
    }

    /// What the editor shows.
    pub fn picture(&self) -> Arc<Picture> {
        Arc::clone(&self.view.picture.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Other settings from now on.
    pub fn set(&mut self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings);
        self.send(ToWorker::Settings(self.settings));
    }

    /// A momentary parameter.
    pub fn press(&mut self, press: Press) {
        self.send(ToWorker::Press { at: self.now(), press, epoch: self.epoch });
    }

    /// The sustain pedal.
    pub fn pedal(&mut self, down: bool) {
        self.send(ToWorker::Pedal { at: self.now(), down, epoch: self.epoch });
    }

    /// All keys come up.
    pub fn all_off(&mut self) {
        self.send(ToWorker::AllOff { at: self.now(), channel: None, epoch: self.epoch });
    }

    /// Plays until a beat; notes of the score that begin or end before it are struck and let go in their places.
    pub fn play(&mut self, score: &[Played], until: f64) {
        while self.now().0 < until - 1e-9 {
            self.strike(score);
            self.tick();
        }
    }

    /// Plays nothing until something holds; `false` if so many beats pass.
    pub fn until(&mut self, most: f64, holds: impl Fn(&Self) -> bool) -> bool {
        let end = self.now().0 + most;
        while !holds(self) && self.now().0 < end {
            self.tick();
        }
        holds(self)
    }

    /// The music stands still until something holds; `false` after a minute.
    pub fn wait(&mut self, holds: impl Fn(&Self) -> bool) -> bool {
        for _ in 0..12_000 {
            self.take_in();
            if holds(self) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    fn strike(&mut self, score: &[Played]) {
        let step = i64::from(self.step);
        let here = |at: f64| (at * 24.0).round() as i64 == step;
        let at = self.now();
        if score.iter().any(|note| here(note.at)) {
            self.struck = at.0;
            if at.0 < self.answers_until && !self.settings.mode.plays_along() {
                self.cut(Cut::Yield);
            }
        }
        let epoch = self.epoch;
        let mut all = Vec::new();
        for note in score {
            let (key, channel) = (Key(note.key), Channel(note.channel));
            if here(note.at + note.len) {
                all.insert(0, ToWorker::Off { at, key, channel, epoch });
            }
            if here(note.at) {
                all.push(ToWorker::On { at, key, channel, velocity: Velocity(note.velocity), epoch });
            }
        }
        all.into_iter().for_each(|message| self.send(message));
    }

    fn tick(&mut self) {
        let at = self.now();
        let song = self.song(at.0);
        let wrap = self.looped.filter(|(from, to)| (*from..*to).contains(&song));
        self.send(ToWorker::Tick(Tick {
            at,
            song: Beats(song),
            bar: Beats(at.0 - song.rem_euclid(BAR)),
            wrap: wrap.map(|(from, to)| (Beats(at.0 + to - song), Beats(to - from))),
            meter: Meter::COMMON,
            tempo: Bpm(self.tempo),
            playing: true,
            offline: self.offline,
            epoch: self.epoch,
        }));
        self.step += 1;
        self.ticks += 1;
        if !self.offline {
            std::thread::sleep(Duration::from_secs_f64(60.0 / self.tempo / 24.0));
        }
        while self.audio.as_ref().is_some_and(|audio| audio.acked() < self.ticks) {
            self.take_in();
            std::thread::yield_now();
        }
        self.take_in();
    }

    /// Loops are of whole beats here.
    fn song(&self, line: f64) -> f64 {
        match self.looped {
            Some((from, to)) if line >= to - 1e-9 => from + (line - from + 1e-9).rem_euclid(to - from) - 1e-9,
            _ => line,
        }
    }

    fn send(&mut self, message: ToWorker) {
        assert!(self.audio.as_mut().is_some_and(|audio| audio.send(message)), "the ring is full");
    }

    fn take_in(&mut self) {
        while let Some(message) = self.audio.as_mut().and_then(AudioSide::receive) {
            match message {
                FromWorker::Planned { note, epoch } if epoch == self.epoch => self.notes.push(note),
                FromWorker::AnswerEnds { asked, end, epoch } if epoch == self.epoch => {
                    self.ends.push(end.0);
                    self.answers_until = end.0;
                    // The player came in while the message was under way.
                    if self.struck > asked.0 && !self.settings.mode.plays_along() {
                        self.cut(Cut::Yield);
                    }
                }
                FromWorker::Planned { .. } | FromWorker::AnswerEnds { .. } => {}
                FromWorker::TakeBegin => self.table.clear(),
                FromWorker::TakeNote(note) => self.table.push(note),
                FromWorker::Replan { from, epoch } if epoch == self.epoch => {
                    self.notes.retain(|note| note.at.0 < from.0);
                }
                FromWorker::TakeEnd | FromWorker::Replan { .. } => {}
            }
        }
    }
}

impl Drop for Rehearsal {
    fn drop(&mut self) {
        // The audio half goes first, as in the plugin.
        drop(self.audio.take());
        drop(self.worker.take());
    }
}
