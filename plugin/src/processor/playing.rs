//! What the audio thread plays: the plan, takes and clicks, each note with its end.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use continuo_timeline::{Beats, Cut, FromWorker, Host, Instrument, Mode, Note, ToWorker, Voice};

use super::Audio;
use crate::events::{Events, Output};
use crate::params::MidiOut;
use crate::parts::{CLICKS, answer_part};
use crate::takes::Next;

/// Late notes up to this many milliseconds are played at once.
const LATE_PLAYED: f64 = 20.0;
/// Up to this many, if nothing newer follows.
const LATE_ALONE: f64 = 100.0;
/// Longest that an offline block waits for the worker.
const PATIENCE: Duration = Duration::from_secs(10);

impl Audio {
    pub(super) fn receive(&mut self, events: &mut impl Events, frame: u32) {
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
                    self.begun = false;
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

    pub(super) fn playing_takes(&self) -> bool {
        self.clock.playing() && self.wants_takes()
    }

    /// Whether takes are to play, if the song comes to them.
    pub(super) fn wants_takes(&self) -> bool {
        let accompanied = self.settings.is_some_and(|settings| settings.mode == Mode::Accompany);
        (accompanied || self.params.recalls()) && !self.bypassed
    }

    /// Where on the line the next note of the take is, or the place where it turns.
    pub(super) fn take_line(&self) -> Option<Beats> {
        let (Next::Note(at) | Next::Turn(at)) = self.takes.next()?;
        Some(Beats(self.clock.line().0 + at.0 - self.clock.song().0))
    }

    /// What the host did to the song at the start of a block, for the take: it came round its loop, or it did not where
    /// the take has turned already.
    pub(super) fn turn_take(&mut self, came_round: bool, host: &Host) {
        match host.looped {
            Some((from, _)) if came_round => self.takes.came_round(Beats(from)),
            _ if self.takes.is_ahead() => self.takes.seek(self.clock.song()),
            _ => {}
        }
        self.takes.go_round(self.clock.looped(), self.clock.goes_around());
    }

    /// All that is due now: the grid point, ends, then beginnings.
    pub(super) fn happen(&mut self, events: &mut impl Events, frame: u32) {
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
            self.begun = true;
            self.begin(note, events, frame);
        }
        while self.playing_takes() && self.take_line().is_some_and(|at| self.clock.samples_to(at) == 0) {
            if let Some(Next::Turn(_)) = self.takes.next() {
                self.takes.turn();
                continue;
            }
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
        // Not by the rest of its chord.
        let next = self.schedule.next_after(note.at);
        let followed = next.is_some_and(|next| next.0 <= self.clock.line().0);
        if late > LATE_ALONE || late > LATE_PLAYED && followed {
            self.view.late.fetch_add(1, Ordering::Relaxed);
            self.tell(ToWorker::Late { at: note.at });
            return;
        }
        if self.muted {
            return;
        }
        let (channel, key) = (note.channel, note.key);
        if let Some(voice) = self.sounding.end(channel, key) {
            self.note_off(voice, events, frame);
        }
        if self.passed.off(channel, key) {
            events.send(frame, Output::Off { key, channel });
        }
        let sent = self.params.sent() != MidiOut::Off;
        if !self.sounding.begin(Voice { channel, key, until: note.at + note.len, sent }) {
            self.view.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.view.notes_out.fetch_add(1, Ordering::Relaxed);
        self.synth.note_on(note.instrument, key, note.velocity, answer_part(channel));
        if sent {
            self.echoes.sent(key, channel, Some(note.velocity), frame);
            events.send(frame, Output::On { key, channel, velocity: note.velocity });
        }
    }

    // The off is sent even when MIDI out was switched off meanwhile: no note may hang.
    pub(super) fn note_off(&mut self, voice: Voice, events: &mut impl Events, frame: u32) {
        self.synth.note_off(answer_part(voice.channel), voice.key);
        if voice.sent {
            self.echoes.sent(voice.key, voice.channel, None, frame);
            events.send(frame, Output::Off { key: voice.key, channel: voice.channel });
        }
    }
}
