//! A buffer of the host in pieces: the framework cuts it where a parameter moves, so that it moves there, and has its own
//! idea of where the song is in the pieces behind the first.
//!
//! It adds the beats before the piece to the position that the host told last. For a position of the start of the buffer that is
//! right; one that the host told with an event in the middle is moved twice. And it counts bars from the start of the
//! song, whatever the host told of them. A piece is known by its samples lying right behind those of the one before.

use continuo_timeline::Host;

/// The buffer that is being played.
#[derive(Default)]
pub struct Pieces {
    /// Samples a second, and most samples of a buffer.
    config: (f64, u32),
    /// Where in memory the next piece would begin, and how many samples came before it.
    next: usize,
    done: u32,
    /// What the host said at the start.
    start: Host,
}

impl Pieces {
    /// For a sample rate in samples a second, and buffers of at most so many samples.
    pub fn new(rate: f64, most: u32) -> Self {
        Self { config: (rate, most), ..Self::default() }
    }

    /// What the host says of a piece, given what the framework says of it. Realtime: yes.
    pub fn follow(&mut self, told: Host, samples: &[f32]) -> Host {
        let length = u32::try_from(samples.len()).unwrap_or(0);
        let (at, size) = (samples.as_ptr().addr(), size_of_val(samples));
        let goes_on = self.done > 0 && at == self.next && self.done.saturating_add(length) <= self.config.1;
        if !goes_on {
            (self.done, self.start) = (0, told);
        }
        let host = if goes_on { self.piece(told) } else { told };
        (self.next, self.done) = (at + size, self.done.saturating_add(length));
        host
    }

    fn piece(&self, told: Host) -> Host {
        let song = match (told.song, told.tempo) {
            (Some(song), Some(tempo)) => Some(song - self.too_far(song, tempo, told.playing)),
            (song, _) => song,
        };
        Host { song, bar: None, ..told }
    }

    /// Beats by which the framework moved a position that was right already.
    fn too_far(&self, song: f64, tempo: f64, playing: bool) -> f64 {
        let beats = |tempo: f64| f64::from(self.done) / self.config.0 / 60.0 * tempo;
        let (moved, begun) = (beats(tempo), self.start.song.unwrap_or(0.0));
        let told = song - moved;
        if playing != self.start.playing {
            return moved;
        }
        if (told - begun).abs() < 1e-9 {
            return 0.0;
        }
        // Told with an event; or this is no piece, and only lies where one would.
        let expected = begun + beats(self.start.tempo.unwrap_or(tempo));
        if (told - expected).abs() < (song - expected).abs() { moved } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: f64 = 48_000.0;
    /// Beats of a sample at 120 beats a minute.
    const STEP: f64 = 1.0 / 24_000.0;

    fn told(song: f64, tempo: f64) -> Host {
        Host { playing: true, song: Some(song), tempo: Some(tempo), bar: Some(2.0), ..Host::default() }
    }

    #[test]
    fn the_first_piece_is_as_the_host_says_and_later_ones_have_no_bars() {
        let (mut pieces, buffer) = (Pieces::new(RATE, 512), [0.0; 512]);
        assert_eq!(pieces.follow(told(5.0, 120.0), &buffer[..100]), told(5.0, 120.0));
        let moved = told(5.0 + 100.0 * STEP, 120.0);
        assert_eq!(pieces.follow(moved, &buffer[100..]), Host { bar: None, ..moved });
        // The next buffer lies where the last did, or anywhere.
        assert_eq!(pieces.follow(told(6.0, 120.0), &buffer[..300]), told(6.0, 120.0));
        assert_eq!(pieces.follow(told(7.0, 120.0), &buffer[..300]), told(7.0, 120.0));
    }

    #[test]
    fn a_position_that_the_host_told_in_the_middle_is_where_it_says() {
        let (mut pieces, buffer) = (Pieces::new(RATE, 512), [0.0; 512]);
        pieces.follow(told(5.0, 120.0), &buffer[..200]);
        // Another tempo from there on: the framework adds its beats of 200 samples.
        let (right, added) = (5.0 + 200.0 * STEP, 200.0 * STEP / 2.0);
        let host = pieces.follow(told(right + added, 60.0), &buffer[200..400]);
        assert!((host.song.unwrap() - right).abs() < 1e-12, "{host:?}");
        // The transport starts in the middle.
        pieces.follow(Host { playing: false, ..told(5.0, 120.0) }, &buffer[..200]);
        let host = pieces.follow(told(5.0 + 200.0 * STEP, 120.0), &buffer[200..]);
        assert!((host.song.unwrap() - 5.0).abs() < 1e-12, "{host:?}");
    }

    #[test]
    fn buffers_one_behind_the_other_are_where_the_host_says() {
        let (mut pieces, all) = (Pieces::new(RATE, 4096), [0.0; 4096]);
        for (number, buffer) in (0_u32..).zip(all.chunks(256)) {
            let song = 5.0 + f64::from(number * 256) * STEP * if number < 8 { 1.0 } else { 1.02 };
            assert_eq!(pieces.follow(told(song, 120.0), buffer).song, Some(song));
        }
    }
}
