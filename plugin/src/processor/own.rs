//! A song of our own, for a program of our own: where nobody steers one it begins at the next bar line and comes round
//! the take, so that the take is heard and can be played around.

use continuo_timeline::{Beats, Bpm, Clock, Host};

/// The song that is led here, while one is.
#[derive(Default)]
pub struct OwnSong {
    /// Where the take begins and ends, in whole bars.
    looped: Option<(Beats, Beats)>,
}

impl OwnSong {
    /// What is to be taken for the host's word: its own where it has a song or no take is wanted, else that our song stands
    /// here and loops. `take` gives the take's first and last bar line for a length of bars. Realtime: yes.
    pub fn lead(
        &mut self,
        host: &Host,
        (clock, internal): (&Clock, Bpm),
        take: impl FnOnce(Beats) -> Option<(Beats, Beats)>,
    ) -> Host {
        let bar = host.meter.unwrap_or(clock.meter()).bar();
        let Some((from, to)) = host.alone.then(|| take(bar)).flatten() else {
            self.looped = None;
            return *host;
        };
        let song = if self.looped.replace((from, to)) == Some((from, to)) {
            let song = clock.song().0;
            if song >= to.0 - 1e-9 { song - (to.0 - from.0) } else { song }
        } else {
            // A bar that has just begun is the next one.
            let into = clock.into_bar().0.rem_euclid(bar.0);
            from.0 - if into < 1e-6 { 0.0 } else { bar.0 - into }
        };
        let (looped, tempo) = (Some((from.0, to.0)), Some(host.tempo.unwrap_or(internal.0)));
        Host { playing: true, song: Some(song), tempo, looped, bar: None, ..*host }
    }
}
