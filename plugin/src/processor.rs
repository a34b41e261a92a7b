//! The audio thread: what happens in one block.
//!
//! A block is walked from event to event: the player's notes, grid points, notes that end, notes that begin.
//! Between two of them the built-in sound is rendered. Nothing here allocates, locks or waits; with the one
//! exception that when the host renders offline, each grid point waits for the worker.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use continuo_sound::Synth;
use continuo_timeline::{
    Beats, Bpm, Channel, Clock, Cut, Epoch, FromWorker, Host, Instrument, Key, Mode, Note, Press, Schedule,
    Settings, Sounding, ToWorker, Trigger, Velocity, Voice,
};

use crate::echoes::Echoes;
use crate::events::{Events, Input, Output};
use crate::link::AudioSide;
use crate::metronome::Metronome;
use crate::params::{ContinuoParams, MidiOut, PRESSES, Source, Yield};
use crate::parts::{CLICKS, answer_part};
use crate::passed::Passed;
use crate::takes::TakeTable;
use crate::view::View;

/// Late notes up to this many milliseconds are played at once.
const LATE_PLAYED: f64 = 20.0;
/// Up to this many, if nothing newer follows.
const LATE_ALONE: f64 = 100.0;
/// Longest that an offline block waits for the worker.
const PATIENCE: Duration = Duration::from_secs(10);

/// Everything that lives on the audio thread; made on activation.
pub struct Audio {
    params: Arc<ContinuoParams>,
    view: Arc<View>,
    link: AudioSide,
    clock: Clock,
    schedule: Schedule,
    sounding: Sounding,
    takes: TakeTable,
    synth: Synth,
    offline: bool,
    ticks: u64,
    settings: Option<Settings>,
    buttons: [bool; 5],
    answer_until: Option<(Beats, Epoch)>,
    /// When the player struck a key last.
    struck: Option<Beats>,
    silence: bool,
    waited: Duration,
    tapped: Option<Beats>,
    tap_tempo: Option<Bpm>,
    bypassed: bool,
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
            params,
            view,
            link,
            clock: Clock::new(rate),
            schedule: Schedule::default(),
            sounding: Sounding::default(),
            takes: TakeTable::default(),
            synth: Synth::new(rate),
            offline,
            ticks: 0,
            settings: None,
            buttons: [false; 5],
            answer_until: None,
            struck: None,
            silence: false,
            waited: Duration::ZERO,
            tapped: None,
            tap_tempo: None,
            bypassed: false,
            echoes: Echoes::default(),
            passed: Passed::default(),
            metronome: Metronome::default(),
        }
    }

    /// What sounded in the host when the last audio thread of this instance ended: it ends with the first block.
    pub fn inherit(&mut self, (sounding, passed): (Sounding, Passed)) {
        self.sounding = sounding;
        self.passed = passed;
        self.silence = true;
    }

    /// What sounds in the host now, for [`Self::inherit`].
    pub fn leave(self) -> (Sounding, Passed) {
        (self.sounding, self.passed)
    }

    /// All that sounds ends at the start of the next block; the built-in sound is cut now. Realtime: yes.
    pub fn reset(&mut self) {
        self.silence = true;
        self.synth.cut();
    }

    /// One block. `left` and `right` have the same length. Realtime: yes.
    pub fn process(&mut self, host: &Host, events: &mut impl Events, left: &mut [f32], right: &mut [f32]) {
        self.waited = Duration::ZERO;
        self.transport(host, events);
        self.receive(events, 0);
        self.walk(events, left, right);
        self.finish(left, right);
    }

    fn transport(&mut self, host: &Host, events: &mut impl Events) {
        let internal = self.tap_tempo.unwrap_or(Bpm(f64::from(self.params.tempo.value())));
        let cut = self.clock.begin(host, internal);
        if self.clock.take_wrap() {
            self.takes.seek(self.clock.song());
        }
        if let Some(why) = cut {
            if why == Cut::Transport {
                self.metronome.start();
            }
            self.new_epoch(why, events, 0);
        }
        let bypass = self.params.bypass.value();
        if std::mem::take(&mut self.silence) || bypass && !self.bypassed {
            self.clock.cut();
            self.new_epoch(Cut::Silence, events, 0);
            self.synth.cut();
        }
        self.bypassed = bypass;
        if self.ticks == 0 {
            self.tell(ToWorker::Epoch {
                at: self.clock.line(),
                epoch: self.clock.epoch(),
                why: Cut::Transport,
            });
            self.schedule.cut(self.clock.epoch());
        }
        self.follow_settings();
        self.press_buttons(events);
    }

    /// What was planned is void, and what sounds of it ends here.
    fn new_epoch(&mut self, why: Cut, events: &mut impl Events, frame: u32) {
        self.schedule.cut(self.clock.epoch());
        self.answer_until = None;
        let wait = why == Cut::Yield && self.params.gives_way.value() == Yield::NextBeat;
        if wait {
            let line = self.clock.line().0;
            self.sounding.end_by(Beats(line.ceil().max(line)));
        } else {
            while let Some(voice) = self.sounding.pop() {
                self.note_off(voice, events, frame);
            }
        }
        self.tell(ToWorker::Epoch { at: self.clock.line(), epoch: self.clock.epoch(), why });
        self.takes.seek(self.clock.song());
    }

    fn follow_settings(&mut self) {
        let settings = self.params.settings();
        if self.settings != Some(settings) {
            self.settings = Some(settings);
            self.tell(ToWorker::Settings(settings));
        }
    }

    fn press_buttons(&mut self, events: &mut impl Events) {
        let now = self.params.buttons();
        for ((down, before), press) in now.into_iter().zip(self.buttons).zip(PRESSES) {
            if down && !before {
                self.press(press, events);
            }
        }
        self.buttons = now;
    }

    fn press(&mut self, press: Press, events: &mut impl Events) {
        match press {
            Press::Panic => {
                self.clock.cut();
                self.new_epoch(Cut::Silence, events, 0);
                self.synth.cut();
            }
            Press::Again if self.answering() => {
                self.clock.cut();
                self.new_epoch(Cut::Again, events, 0);
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

    fn receive(&mut self, events: &mut impl Events, frame: u32) {
        while let Some(message) = self.link.receive() {
            match message {
                FromWorker::Planned { note, epoch } => {
                    if !self.schedule.plan(note, epoch) {
                        self.view.dropped.fetch_add(1, Ordering::Relaxed);
                    }
                }
                FromWorker::Replan { from, epoch } if epoch == self.clock.epoch() => {
                    self.schedule.forget_from(from)
                }
                FromWorker::Replan { .. } => {}
                FromWorker::AnswerEnds { asked, end, epoch } => {
                    self.answer_until = Some((end, epoch));
                    // The player came in while the message was under way.
                    if self.yields() && self.struck.is_some_and(|at| at.0 > asked.0) {
                        self.clock.cut();
                        self.new_epoch(Cut::Yield, events, frame);
                    }
                }
                FromWorker::TakeBegin => self.takes.begin(),
                FromWorker::TakeNote(note) => self.takes.add(note),
                FromWorker::TakeEnd => self.takes.end(self.clock.song()),
            }
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
            self.happen(events, frame);
        }
        // An event behind the block's end is the host's mistake; it is heard all the same.
        while let Some((_, what)) = input {
            self.hear(what, events, length.saturating_sub(1));
            input = events.next();
        }
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

    fn playing_takes(&self) -> bool {
        let accompanied = self.settings.is_some_and(|settings| settings.mode == Mode::Accompany);
        let wanted = accompanied || self.params.source.value() == Source::Takes;
        self.clock.playing() && wanted && !self.bypassed
    }

    /// Where on the line the next note of the take is.
    fn take_line(&self) -> Option<Beats> {
        self.takes.next().map(|note| Beats(self.clock.line().0 + note.at.0 - self.clock.song().0))
    }

    /// All that is due now: the grid point, ends, then beginnings.
    fn happen(&mut self, events: &mut impl Events, frame: u32) {
        if self.clock.samples_to_grid() == 0 {
            let tick = self.clock.pass_grid(self.offline);
            self.tell(ToWorker::Tick(tick));
            self.ticks += 1;
            if self.offline {
                self.wait(events, frame);
                self.receive(events, frame);
            } else if let Some((key, velocity)) = self.metronome.click(&tick, self.params.clicks()) {
                self.synth.note_on(Instrument::DRUMS, key, velocity, CLICKS);
            }
        }
        while self.sounding.next_end().is_some_and(|at| self.clock.samples_to(at) == 0) {
            let Some(at) = self.sounding.next_end() else { break };
            let Some(voice) = self.sounding.pop_ended(at) else { break };
            self.note_off(voice, events, frame);
        }
        while self.schedule.next().is_some_and(|at| self.clock.samples_to(at) == 0) {
            let Some(note) = self.schedule.pop() else { break };
            self.begin(note, events, frame);
        }
        while self.playing_takes() && self.take_line().is_some_and(|at| self.clock.samples_to(at) == 0) {
            let Some(mut note) = self.takes.pop() else { break };
            note.at = self.clock.line();
            self.begin(note, events, frame);
        }
    }

    /// Waits for the worker, only when the host renders offline. What comes is taken in meanwhile: the worker may
    /// have more to say than the ring holds.
    fn wait(&mut self, events: &mut impl Events, frame: u32) {
        let began = Instant::now();
        while self.link.acked() < self.ticks && self.link.worker_alive() {
            if self.waited + began.elapsed() > PATIENCE {
                self.view.late.fetch_add(1, Ordering::Relaxed);
                break;
            }
            self.receive(events, frame);
            std::thread::sleep(Duration::from_micros(50));
        }
        self.waited += began.elapsed();
    }

    /// A generated note, unless it is too late by the written rule.
    fn begin(&mut self, note: Note, events: &mut impl Events, frame: u32) {
        let late = self.clock.milliseconds_since(note.at);
        let followed = self.schedule.next().is_some_and(|next| next.0 <= self.clock.line().0);
        if late > LATE_ALONE || late > LATE_PLAYED && followed {
            self.view.late.fetch_add(1, Ordering::Relaxed);
            self.tell(ToWorker::Late { at: note.at });
            return;
        }
        let (channel, key) = (note.channel, note.key);
        if let Some(voice) = self.sounding.end(channel, key) {
            self.note_off(voice, events, frame);
        }
        if self.passed.off(channel, key) {
            events.send(frame, Output::Off { key, channel });
        }
        let sent = self.params.midi_out.value() != MidiOut::Off;
        if !self.sounding.begin(Voice { channel, key, until: note.at + note.len, sent }) {
            self.view.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.view.notes_out.fetch_add(1, Ordering::Relaxed);
        self.synth.note_on(note.instrument, key, note.velocity, answer_part(channel));
        if sent {
            self.echoes.sent(key, channel, note.velocity, self.clock.line());
            events.send(frame, Output::On { key, channel, velocity: note.velocity });
        }
    }

    // The off is sent even when MIDI out was switched off meanwhile: no note may hang.
    fn note_off(&mut self, voice: Voice, events: &mut impl Events, frame: u32) {
        self.synth.note_off(answer_part(voice.channel), voice.key);
        if voice.sent {
            events.send(frame, Output::Off { key: voice.key, channel: voice.channel });
        }
    }

    /// The player does something.
    fn hear(&mut self, input: Input, events: &mut impl Events, frame: u32) {
        let (at, epoch) = (self.clock.line(), self.clock.epoch());
        match input {
            Input::On { key, .. } | Input::Off { key, .. } if self.is_trigger(key) => {
                if matches!(input, Input::On { .. }) {
                    self.tell(ToWorker::Press { at, press: Press::Answer, epoch });
                }
                return;
            }
            Input::On { key, channel, velocity } if self.echoes.is_echo(key, channel, velocity, at) => return,
            Input::On { key, channel, velocity } => self.struck(key, channel, velocity, events, frame),
            Input::Off { key, channel } => {
                self.tell(ToWorker::Off { at, key, channel, epoch });
                self.synth.note_off(channel, key);
            }
            Input::Pedal { channel, down } => {
                self.tell(ToWorker::Pedal { at, down, epoch });
                if !self.settings.is_some_and(|settings| settings.trigger == Trigger::Pedal) {
                    self.synth.pedal(channel, down);
                }
            }
            Input::Bend { channel, semitones } => self.synth.bend(channel, semitones),
            Input::Other => {}
        }
        self.pass(input, events, frame);
    }

    /// Thru: what is played goes on as it came, but never an off without an on, or an on twice.
    fn pass(&mut self, input: Input, events: &mut impl Events, frame: u32) {
        let open = self.bypassed || self.params.thru.value() && self.params.midi_out.value() == MidiOut::All;
        match input {
            Input::On { key, channel, .. } if open => {
                if let Some(voice) = self.sounding.end(channel, key) {
                    self.note_off(voice, events, frame);
                }
                if self.passed.off(channel, key) {
                    events.send(frame, Output::Off { key, channel });
                }
                self.passed.on(channel, key);
                events.pass();
            }
            // Also when thru was closed meanwhile: its note must end.
            Input::Off { key, channel } => {
                if self.passed.off(channel, key) {
                    events.pass();
                }
            }
            Input::On { .. } => {}
            _ if open => events.pass(),
            _ => {}
        }
    }

    fn is_trigger(&self, key: Key) -> bool {
        self.settings
            .is_some_and(|s| s.mode != Mode::Off && s.trigger == Trigger::Key && s.trigger_key == key)
    }

    fn struck(
        &mut self,
        key: Key,
        channel: Channel,
        velocity: Velocity,
        events: &mut impl Events,
        frame: u32,
    ) {
        self.view.notes_in.fetch_add(1, Ordering::Relaxed);
        if self.yields() {
            self.clock.cut();
            self.new_epoch(Cut::Yield, events, frame);
        }
        let (at, epoch) = (self.clock.line(), self.clock.epoch());
        self.struck = Some(at);
        self.tell(ToWorker::On { at, key, velocity, channel, epoch });
        if self.params.thru.value() && !self.bypassed {
            self.synth.note_on(self.player(), key, velocity, channel);
        }
    }

    fn player(&self) -> Instrument {
        self.settings.map_or(Instrument(0), |settings| settings.player)
    }

    fn render(&mut self, left: &mut [f32], right: &mut [f32], from: u32, to: u32) {
        let range = from as usize..to as usize;
        if let (Some(left), Some(right)) = (left.get_mut(range.clone()), right.get_mut(range)) {
            self.synth.render(left, right);
        }
    }

    fn finish(&mut self, left: &mut [f32], right: &mut [f32]) {
        let audible = self.params.sound.value() && !self.bypassed;
        let gain = if audible { 10.0_f32.powf(self.params.level.value() / 20.0) } else { 0.0 };
        let mut peak = 0.0_f32;
        for sample in left.iter_mut().chain(right.iter_mut()) {
            *sample = (*sample * gain).clamp(-1.0, 1.0);
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
