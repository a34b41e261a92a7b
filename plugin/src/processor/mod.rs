//! The audio thread: what happens in one block.
//!
//! A block is walked from event to event: the player's notes, grid points, notes that end, notes that begin.
//! Between two of them the built-in sound is rendered. Nothing here allocates, locks or waits; with the one
//! exception that when the host renders offline, each grid point waits for the worker.
//!
//! - [`hearing`] the player's notes and controls, [`hands`] what learnt controls move
//! - [`playing`] the plan, takes and clicks, [`own`] the song where nobody else has one

mod hands;
mod hearing;
mod own;
mod playing;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use continuo_sound::Synth;
use continuo_timeline::{
    Beats, Bpm, Clock, Cut, Epoch, Host, Mode, Press, Schedule, Settings, Sounding, ToWorker,
};

use crate::echoes::Echoes;
use crate::events::Events;
use crate::link::AudioSide;
use crate::metronome::Metronome;
use crate::params::{ContinuoParams, PRESSES, Yield};
use crate::passed::Passed;
use crate::takes::TakeTable;
use crate::view::View;
use hands::{Hands, Pressed};
use own::OwnSong;

/// What is left of an audio thread that ended.
pub struct Left {
    /// Generated notes that sound in the host.
    sounding: Sounding,
    /// The player's.
    passed: Passed,
    /// Why all of it was to end, if it has not.
    silence: Option<Cut>,
}

/// Everything that lives on the audio thread; made on activation.
pub struct Audio {
    params: Arc<ContinuoParams>,
    view: Arc<View>,
    link: AudioSide,
    clock: Clock,
    own: OwnSong,
    schedule: Schedule,
    sounding: Sounding,
    takes: TakeTable,
    synth: Synth,
    offline: bool,
    ticks: u64,
    settings: Option<Settings>,
    /// Whether the worker knows the first settings.
    told: bool,
    buttons: Pressed,
    hands: Hands,
    answer_until: Option<(Beats, Epoch)>,
    /// Whether a note of the answer has begun.
    begun: bool,
    /// When the player struck a key last.
    struck: Option<Beats>,
    /// All that is generated ends with the next block, and why.
    silence: Option<Cut>,
    waited: Duration,
    tapped: Option<Beats>,
    tap_tempo: Option<Bpm>,
    /// Where the parameter of the internal tempo stood when last looked at.
    internal: f64,
    bypassed: bool,
    muted: bool,
    /// Whether takes play.
    plays: bool,
    echoes: Echoes,
    passed: Passed,
    metronome: Metronome,
}

impl Audio {
    /// For a sample rate in samples a second.
    pub fn new(
        params: Arc<ContinuoParams>,
        view: Arc<View>,
        link: AudioSide,
        rate: f64,
        offline: bool,
    ) -> Self {
        Self {
            hands: Hands::new(Arc::clone(&params)),
            // One that is down by now was pressed before.
            buttons: params.buttons(),
            internal: params.internal_tempo(),
            params,
            view,
            link,
            clock: Clock::new(rate),
            own: OwnSong::default(),
            schedule: Schedule::default(),
            sounding: Sounding::default(),
            takes: TakeTable::default(),
            synth: Synth::new(rate),
            offline,
            ticks: 0,
            settings: None,
            told: false,
            answer_until: None,
            begun: false,
            struck: None,
            silence: None,
            waited: Duration::ZERO,
            tapped: None,
            tap_tempo: None,
            bypassed: false,
            muted: false,
            plays: false,
            echoes: Echoes::default(),
            passed: Passed::default(),
            metronome: Metronome::default(),
        }
    }

    /// What sounded in the host when the last audio thread of this instance ended: it ends with the first block. With a
    /// `line` that goes on, what was heard on it still counts, as far as its cut says.
    pub fn inherit(&mut self, left: Left, rate: f64, line: Option<(Clock, Cut)>) {
        self.sounding = left.sounding;
        self.passed = left.passed;
        // What was not dealt with before it ended counts still.
        let silenced = left.silence.is_some_and(|why| why != Cut::Restart).then_some(Cut::Silence);
        self.silence = silenced.or(Some(line.as_ref().map_or(Cut::Silence, |(_, why)| *why)));
        if let Some((clock, _)) = line {
            self.clock = clock.at_rate(rate);
        }
    }

    /// What the next audio thread needs, for [`Self::inherit`], and where the music stood.
    pub fn leave(self) -> (Left, Clock) {
        (Left { sounding: self.sounding, passed: self.passed, silence: self.silence }, self.clock)
    }

    /// All that sounds ends at the start of the next block; the built-in sound is cut now. Whoever plays goes on with what
    /// was heard; a render begins without. Realtime: yes.
    pub fn reset(&mut self) {
        self.silence.get_or_insert(if self.offline { Cut::Anew } else { Cut::Silence });
        self.synth.cut();
    }

    /// One block. `left` and `right` have the same length. Realtime: yes.
    pub fn process(&mut self, host: &Host, events: &mut impl Events, left: &mut [f32], right: &mut [f32]) {
        self.waited = Duration::ZERO;
        self.echoes.begin(u32::try_from(left.len().min(right.len())).unwrap_or(0));
        self.transport(host, events);
        self.receive(events, 0);
        self.walk(events, left, right);
        self.finish(left, right);
    }

    fn transport(&mut self, host: &Host, events: &mut impl Events) {
        let internal = self.internal_tempo();
        let wanted = self.wants_takes();
        let take = |bar| self.takes.in_bars(bar).filter(|_| wanted);
        let host = &self.own.lead(host, (&self.clock, internal), take);
        let cut = self.clock.begin(host, internal);
        let came_round = self.clock.take_wrap();
        if let Some(why) = cut {
            if why == Cut::Transport {
                self.metronome.turn(self.clock.playing());
            }
            self.new_epoch(why, events, 0);
        }
        self.turn_take(came_round, host);
        if self.hands.follow() {
            self.buttons = self.params.buttons();
        }
        if self.ticks == 0 {
            self.tell(ToWorker::Epoch {
                at: self.clock.line(),
                heard: self.clock.line(),
                epoch: self.clock.epoch(),
                why: Cut::Transport,
            });
            self.schedule.cut(self.clock.epoch());
        }
        self.follow(events, 0);
        self.press_buttons(events);
    }

    /// What was tapped, until the parameter is moved.
    fn internal_tempo(&mut self) -> Bpm {
        let stands = self.params.internal_tempo();
        if (std::mem::replace(&mut self.internal, stands) - stands).abs() > 1e-6 {
            self.tap_tempo = None;
        }
        self.tap_tempo.unwrap_or(Bpm(stands))
    }

    /// The parameters as they stand now.
    fn follow(&mut self, events: &mut impl Events, frame: u32) {
        let bypass = self.params.bypassed();
        // The host stops or starts the plugin anew: who plays may let go of what it no longer hears.
        if let Some(why) = self.silence.take() {
            self.hush(why, events, frame);
            self.let_go(None, events, frame);
        } else if bypass && !self.bypassed {
            self.hush(Cut::Silence, events, frame);
        }
        self.bypassed = bypass;
        let muted = self.params.muted();
        if muted && !self.muted {
            self.end_all(events, frame);
        }
        self.muted = muted;
        self.follow_settings(events, frame);
        // Takes that did not play begin where the song is by now.
        let plays = self.playing_takes();
        if plays && !self.plays {
            self.takes.seek(self.clock.song());
        }
        self.plays = plays;
        self.synth.level(self.params.gain());
    }

    /// All that is generated ends, heard or not.
    fn hush(&mut self, why: Cut, events: &mut impl Events, frame: u32) {
        self.clock.cut();
        self.new_epoch(why, events, frame);
        self.synth.cut();
    }

    /// What sounds of answers and takes ends.
    fn end_all(&mut self, events: &mut impl Events, frame: u32) {
        while let Some(voice) = self.sounding.pop() {
            self.note_off(voice, events, frame);
        }
    }

    /// What was planned is void, and what sounds of it ends here.
    fn new_epoch(&mut self, why: Cut, events: &mut impl Events, frame: u32) {
        self.answer_until = None;
        // An answer that is foreseen and has not begun has nothing to end with.
        let begun = std::mem::take(&mut self.begun) || !self.sounding.is_empty();
        let wait = why == Cut::Yield && begun && self.params.yields() == Yield::NextBeat;
        let (at, epoch) = (self.clock.line(), self.clock.epoch());
        let heard = if wait { self.clock.next_beat() } else { at };
        if wait {
            self.schedule.cut_from(heard, epoch);
            self.sounding.end_by(heard);
        } else {
            self.schedule.cut(epoch);
            self.end_all(events, frame);
        }
        self.tell(ToWorker::Epoch { at, heard, epoch, why });
        self.takes.seek(self.clock.song());
    }

    fn follow_settings(&mut self, events: &mut impl Events, frame: u32) {
        let settings = self.params.settings();
        let Some(before) = self.settings.replace(settings).filter(|before| *before != settings) else {
            return self.tell_once(settings);
        };
        // What one mode planned is not another's; between answers on demand the one under way goes on.
        let along = |mode: Mode| mode.plays_along();
        if settings.mode != before.mode
            && (settings.mode == Mode::Off || along(settings.mode) || along(before.mode))
        {
            self.clock.cut();
            self.new_epoch(Cut::Silence, events, frame);
        }
        self.tell(ToWorker::Settings(settings));
    }

    /// The first settings of all.
    fn tell_once(&mut self, settings: Settings) {
        if !std::mem::replace(&mut self.told, true) {
            self.tell(ToWorker::Settings(settings));
        }
    }

    fn press_buttons(&mut self, events: &mut impl Events) {
        let now = self.params.buttons();
        let mut pressed = Pressed::default();
        for ((pressed, down), before) in pressed.iter_mut().zip(now).zip(self.buttons) {
            *pressed = down && !before;
        }
        self.buttons = now;
        self.press_all(pressed, events, 0);
    }

    fn press_all(&mut self, pressed: Pressed, events: &mut impl Events, frame: u32) {
        for (_, press) in pressed.into_iter().zip(PRESSES).filter(|(pressed, _)| *pressed) {
            self.press(press, events, frame);
        }
    }

    fn press(&mut self, press: Press, events: &mut impl Events, frame: u32) {
        match press {
            Press::Panic => {
                self.hush(Cut::Silence, events, frame);
                self.let_go(None, events, frame);
            }
            // One answer at a time: another takes the place of the one that plays.
            Press::Answer if self.yields() => {
                self.clock.cut();
                self.new_epoch(Cut::Yield, events, frame);
            }
            Press::Again if self.yields() => {
                self.clock.cut();
                self.new_epoch(Cut::Again, events, frame);
            }
            Press::Tap => self.tap(),
            _ => {}
        }
        self.tell(ToWorker::Press { at: self.clock.line(), press, epoch: self.clock.epoch() });
    }

    /// Two taps within three seconds set the internal tempo.
    fn tap(&mut self) {
        if let Some(before) = self.tapped.replace(self.clock.line()) {
            let seconds = self.clock.milliseconds_since(before) / 1000.0;
            if (0.2..=3.0).contains(&seconds) {
                self.tap_tempo = Some(Bpm(60.0 / seconds));
            }
        }
    }

    fn answering(&self) -> bool {
        self.answer_until
            .is_some_and(|(end, epoch)| epoch == self.clock.epoch() && self.clock.line().0 < end.0)
    }

    /// Whether an answer gives way when the player comes in now.
    fn yields(&self) -> bool {
        self.answering() && !self.settings.is_some_and(|settings| settings.mode.plays_along())
    }

    fn tell(&mut self, message: ToWorker) {
        if !self.link.send(message) {
            self.view.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// From event to event until the block is full.
    fn walk(&mut self, events: &mut impl Events, left: &mut [f32], right: &mut [f32]) {
        let length = u32::try_from(left.len().min(right.len())).unwrap_or(0);
        let mut frame = 0;
        let mut input = events.next();
        loop {
            let ahead = input.as_ref().map_or(u32::MAX, |(at, _)| at.saturating_sub(frame));
            let next = frame.saturating_add(ahead.min(self.samples_to_next())).min(length);
            self.render(left, right, frame, next);
            self.clock.advance(next - frame);
            frame = next;
            if frame >= length {
                break;
            }
            while let Some((_, what)) = input.take_if(|(at, _)| *at <= frame) {
                self.hear(what, events, frame);
                input = events.next();
            }
            self.settle(events, frame);
            self.happen(events, frame);
        }
        // An event behind the block's end is the host's mistake; it is heard all the same.
        while let Some((_, what)) = input {
            self.hear(what, events, length.saturating_sub(1));
            input = events.next();
        }
        self.settle(events, length.saturating_sub(1));
    }

    fn samples_to_next(&self) -> u32 {
        let line = |at: Option<Beats>| at.map_or(u32::MAX, |at| self.clock.samples_to(at));
        let take = if self.playing_takes() { self.take_line() } else { None };
        self.clock
            .samples_to_grid()
            .min(line(self.sounding.next_end()))
            .min(line(self.schedule.next()))
            .min(line(take))
    }

    fn render(&mut self, left: &mut [f32], right: &mut [f32], from: u32, to: u32) {
        let range = from as usize..to as usize;
        if let (Some(left), Some(right)) = (left.get_mut(range.clone()), right.get_mut(range)) {
            self.synth.render(left, right);
        }
    }

    fn finish(&mut self, left: &mut [f32], right: &mut [f32]) {
        let mut peak = 0.0_f32;
        for sample in left.iter_mut().chain(right.iter_mut()) {
            *sample = sample.clamp(-1.0, 1.0);
            peak = peak.max(sample.abs());
        }
        self.view.line.store(self.clock.line().0.to_bits(), Ordering::Relaxed);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        {
            self.view.tempo.store((self.clock.tempo().0 as f32).to_bits(), Ordering::Relaxed);
            self.view.peak.store((peak * 255.0) as u8, Ordering::Relaxed);
        }
        self.view.voices.store(u32::try_from(self.synth.voices()).unwrap_or(0), Ordering::Relaxed);
    }
}
