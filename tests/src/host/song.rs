//! The host's transport: tempo, meter, starts, stops, seeks, a loop. Positions are exact at every sample.

/// Something that the host does at a sample of the performance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Act {
    /// Roll from a song position in beats.
    Play(f64),
    /// Stop where it stands.
    Stop,
}

/// What a host's transport does in a performance.
#[derive(Clone, Debug)]
pub struct Song {
    /// Tempo in beats a minute, from a song position in beats on; sorted, the first at or before 0.
    pub tempo: Vec<(f64, f64)>,
    /// Beats in a bar and their note value.
    pub meter: (u16, u16),
    /// Another one, from a song position in beats on where a bar begins.
    pub changes: Option<(f64, (u16, u16))>,
    /// What happens, by second of the performance; sorted.
    pub acts: Vec<(f64, Act)>,
    /// Loop, from and to, in beats.
    pub looped: Option<(f64, f64)>,
    /// Whether the host gives a transport at all.
    pub given: bool,
    /// What it leaves out.
    pub untold: Untold,
    /// Whether a block ends where the loop does; else the host says with the next one that it came round.
    pub cuts: bool,
}

/// What a host does not say of its transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Untold {
    /// How fast.
    pub tempo: bool,
    /// The time signature, and where the bar began.
    pub meter: bool,
    /// Where in the song.
    pub beats: bool,
}

/// Where a song stands at a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stand {
    /// Song position in beats.
    pub beats: f64,
    /// Tempo there.
    pub tempo: f64,
    /// Whether it rolls.
    pub playing: bool,
    /// First sample after which this no longer holds without a jump (an act or the loop's end).
    pub until: u64,
}

impl Song {
    /// Rolls from beat 0 at one tempo, for ever.
    pub fn steady(tempo: f64) -> Self {
        Self {
            tempo: vec![(0.0, tempo)],
            meter: (4, 4),
            changes: None,
            acts: vec![(0.0, Act::Play(0.0))],
            looped: None,
            given: true,
            untold: Untold::default(),
            cuts: true,
        }
    }

    /// The host never rolls, but tells its tempo.
    pub fn stopped(tempo: f64) -> Self {
        Self { acts: Vec::new(), ..Self::steady(tempo) }
    }

    /// A tempo that goes evenly from `from` to `to` beats a minute over `beats`, in steps of 1/16 beat.
    pub fn ramp(from: f64, to: f64, beats: u32) -> Self {
        let step = |n: u32| {
            let at = f64::from(n) / 16.0;
            (at, from + (to - from) * at / f64::from(beats))
        };
        Self { tempo: (0..=beats * 16).map(step).collect(), ..Self::steady(from) }
    }

    /// Where the song stands at `sample`.
    pub fn stand(&self, sample: u64, rate: f64) -> Stand {
        let start = |seconds: f64| (seconds * rate).round() as u64;
        let mut from = (0, Act::Stop, 0.0);
        let mut until = u64::MAX;
        for (seconds, act) in &self.acts {
            let at = start(*seconds);
            if at > sample {
                until = at;
                break;
            }
            let stood = self.beats_after(from.1, from.2, (at - from.0) as f64 / rate).0;
            let beats = if let Act::Play(beats) = act { *beats } else { stood };
            from = (at, *act, beats);
        }
        let (beats, wraps_in) = self.beats_after(from.1, from.2, (sample - from.0) as f64 / rate);
        let wrap = if self.cuts {
            sample.saturating_add(((wraps_in * rate).ceil() as u64).max(1))
        } else {
            u64::MAX
        };
        Stand { beats, tempo: self.tempo_at(beats).0, playing: from.1 != Act::Stop, until: until.min(wrap) }
    }

    /// The time signature at a song position, and where its bar began.
    pub fn bar(&self, beats: f64) -> ((u16, u16), f64) {
        let (from, meter) = self.changes.filter(|(from, _)| beats >= *from).unwrap_or((0.0, self.meter));
        let length = 4.0 * f64::from(meter.0) / f64::from(meter.1);
        (meter, from + ((beats - from) / length).floor() * length)
    }

    /// Sample at which a performance that starts with the song has reached `beats` (no acts, no loop).
    pub fn sample(&self, beats: f64, rate: f64) -> u64 {
        let mut seconds = 0.0;
        let mut at = 0.0;
        while at < beats {
            let (tempo, next) = self.tempo_at(at);
            let to = next.min(beats);
            seconds += (to - at) * 60.0 / tempo;
            at = to;
        }
        (seconds * rate).round() as u64
    }

    // Song position `seconds` after standing at `beats`, and the seconds until the loop wraps.
    fn beats_after(&self, act: Act, beats: f64, seconds: f64) -> (f64, f64) {
        if act == Act::Stop {
            return (beats, f64::INFINITY);
        }
        let (mut at, mut left) = (beats, seconds);
        loop {
            let end = self.looped.map_or(f64::INFINITY, |(_, to)| if at < to { to } else { f64::INFINITY });
            let (tempo, next) = self.tempo_at(at);
            let to = next.min(end);
            let lasts = (to - at) * 60.0 / tempo;
            if left < lasts {
                let now = at + left * tempo / 60.0;
                let wraps = if end.is_finite() { (end - now) * 60.0 / tempo } else { f64::INFINITY };
                return (now, wraps);
            }
            left -= lasts;
            at = match self.looped {
                Some((from, end)) if to == end => from,
                _ => to,
            };
        }
    }

    fn tempo_at(&self, beats: f64) -> (f64, f64) {
        let next = self.tempo.iter().find(|(at, _)| *at > beats).map_or(f64::INFINITY, |(at, _)| *at);
        let tempo = self.tempo.iter().rev().find(|(at, _)| *at <= beats).or(self.tempo.first());
        (tempo.map_or(120.0, |(_, tempo)| *tempo), next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stands_where_it_should() {
        let song = Song::steady(120.0);
        assert_eq!(song.stand(24_000, 48_000.0).beats, 1.0);
        assert_eq!(song.sample(3.0, 48_000.0), 72_000);
    }

    #[test]
    fn bars_begin_anew_where_the_meter_changes() {
        let song = Song { changes: Some((16.0, (3, 4))), ..Song::steady(120.0) };
        assert_eq!((song.bar(-1.0), song.bar(15.9)), (((4, 4), -4.0), ((4, 4), 12.0)));
        assert_eq!(song.bar(19.5), ((3, 4), 19.0));
    }

    #[test]
    fn loops_and_stops() {
        let mut song = Song::steady(120.0);
        song.looped = Some((0.0, 4.0));
        song.acts.push((3.0, Act::Stop));
        assert_eq!(song.stand(0, 48_000.0).until, 96_000);
        assert_eq!(song.stand(96_000, 48_000.0).beats, 0.0);
        let stopped = song.stand(150_000, 48_000.0);
        assert!(!stopped.playing);
        assert_eq!(stopped.beats, 2.0);
    }

    #[test]
    fn a_ramp_takes_its_time() {
        let song = Song::ramp(60.0, 120.0, 4);
        let sample = song.sample(4.0, 48_000.0);
        assert!((song.stand(sample, 48_000.0).beats - 4.0).abs() < 1e-4);
        assert!(sample > 96_000 && sample < 192_000);
    }
}
