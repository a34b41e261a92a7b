//! Wishes are measured in the finished music, kept notes among the new: where they were missed, also by getting in each
//! other's way, it is told.

use std::collections::BTreeSet;

use continuo_timeline::{Instrument, Note};

use super::ask::Ask;
use super::tasks::page::Sheet;
use super::tasks::{Plan, gm};

/// How far the mean velocity may be from the one wished for.
const LOUDNESS: f64 = 16.0;
/// What fades is at last so much softer than at first.
const FADED: f64 = 0.7;
/// An octave.
const LEAP: u8 = 12;

/// The music of a variation, from where the new begins to where it ends.
struct Music<'a> {
    ask: &'a Ask,
    plan: &'a Plan,
    sheet: &'a Sheet,
    /// All its notes there.
    heard: Vec<&'a Note>,
}

/// Names the wishes that a variation missed.
pub fn missed(ask: &Ask, plan: &Plan, sheet: &Sheet, variation: usize) -> Vec<String> {
    let (from, to) = (plan.page.span.0.0 - 1e-9, plan.page.span.1.0 - 1e-9);
    let heard = sheet.notes.iter().filter(|note| note.at.0 >= from && note.at.0 < to).collect();
    let music = Music { ask, plan, sheet, heard };
    let all = [
        music.pace(),
        music.loudness(),
        music.fading(),
        music.jumps(),
        music.harmony(),
        music.rhythm(),
        music.players(),
    ];
    all.into_iter().flatten().map(|text| format!("variation {variation} {text}")).collect()
}

#[allow(clippy::cast_precision_loss)] // thousands of notes
impl Music<'_> {
    /// Notes a second.
    fn pace(&self) -> Option<String> {
        let (low, high) = self.ask.wishes.density?.band();
        let (song, (from, to)) = (&self.plan.page.song, self.plan.page.span);
        let cut = self.sheet.made.len() >= self.ask.most_notes();
        let last = self.sheet.made.last().filter(|_| cut).map_or(to, |last| last.at);
        let notes = self.heard.iter().filter(|note| note.at.0 <= last.0).count();
        let pace = notes as f64 / (song.seconds(last) - song.seconds(from)).max(0.01);
        (!(low..=high).contains(&pace))
            .then(|| format!("has {pace:.1} notes a second, and {low} to {high} were wished for"))
    }

    fn loudness(&self) -> Option<String> {
        let wished = self.plan.page.loud?;
        let mean = loud(self.heard.iter().copied())?;
        ((mean - wished).abs() > LOUDNESS)
            .then(|| format!("has a mean velocity of {mean:.0}, and target_energy stands for {wished:.0}"))
    }

    /// The loudest of the first quarter against that of the last, where both have notes.
    fn fading(&self) -> Option<String> {
        let (from, to) = (self.plan.page.span.0.0, self.plan.page.span.1.0);
        let part = |low: f64, high: f64| {
            let place = |note: &&&Note| (low..high).contains(&((note.at.0 - from) / (to - from).max(1e-9)));
            self.heard.iter().filter(place).map(|note| f64::from(note.velocity.0)).reduce(f64::max)
        };
        let (first, last) = (part(-1e-9, 0.25)?, part(0.75, 1.0)?);
        (self.plan.page.fades && last > FADED * first).then(|| {
            format!("goes from a velocity of {first:.0} to {last:.0}: notes that are kept do not fade out")
        })
    }

    /// From note to note of a part, in order of onset and key, where one of them is new.
    fn jumps(&self) -> Option<String> {
        self.ask.wishes.avoid_jumps.filter(|avoid| *avoid)?;
        let page = &self.plan.page;
        let parts: BTreeSet<Instrument> = self.sheet.made.iter().map(|note| note.instrument).collect();
        let jumps = parts.into_iter().filter(|part| !part.is_drums()).map(|part| {
            let kept = page.song.notes.iter().chain(&page.fixed).map(|note| (note, false));
            let all = kept.chain(self.sheet.made.iter().map(|note| (note, true)));
            let own = all.filter(|(note, _)| note.instrument == part);
            let mut own: Vec<(i32, u8, bool)> =
                own.map(|(note, new)| (page.frame.tick(note.at), note.key.0, new)).collect();
            own.sort_unstable();
            own.windows(2)
                .filter(|pair| (pair[0].2 || pair[1].2) && pair[0].1.abs_diff(pair[1].1) > LEAP)
                .count()
        });
        let count: usize = jumps.sum();
        (count > 0).then(|| format!("goes further than an octave {count} times, for all avoid_jumps"))
    }

    /// New notes against the pitch classes that they should keep to.
    fn harmony(&self) -> Option<String> {
        let scale = self.plan.prompt.constraints.scale;
        let outside = |note: &&Note| !note.instrument.is_drums() && scale >> (note.key.0 % 12) & 1 == 0;
        let count = self.sheet.made.iter().filter(outside).count();
        (count > 0).then(|| format!("has {count} notes outside the pitch classes that were wished for"))
    }

    /// Onsets against those that should be there.
    fn rhythm(&self) -> Option<String> {
        let wished: BTreeSet<i32> = self.plan.prompt.onsets.as_ref()?.iter().copied().collect();
        let found: BTreeSet<i32> = self.heard.iter().map(|note| self.plan.page.frame.tick(note.at)).collect();
        let (kept, all, new) =
            (wished.intersection(&found).count(), wished.len(), found.difference(&wished).count());
        (kept < all || new > 0)
            .then(|| format!("has {kept} of the {all} onsets of the seed, and {new} others"))
    }

    /// Who plays though only others were wished for: a melody that is kept stays with those who have it.
    fn players(&self) -> Option<String> {
        let hints = self.ask.wishes.instrument_hints.as_ref()?;
        let wished: Vec<u8> = hints.iter().filter_map(|hint| gm::programs(hint)).flatten().collect();
        let kept = self.plan.page.fixed.iter().filter(|note| note.at.0 < self.plan.page.span.1.0 - 1e-9);
        let all: BTreeSet<u8> = kept.chain(&self.sheet.made).map(|note| note.instrument.0).collect();
        let others: Vec<&str> = all.into_iter().filter(|one| !wished.contains(one)).map(gm::name).collect();
        (!wished.is_empty() && !others.is_empty()).then(|| {
            format!(
                "is played by {} too, as the melody is that was kept, for all instrument_hints",
                others.join(", ")
            )
        })
    }
}

/// Mean velocity.
#[allow(clippy::cast_precision_loss)] // thousands of notes
fn loud<'a>(notes: impl Iterator<Item = &'a Note>) -> Option<f64> {
    let (sum, count) =
        notes.fold((0.0, 0_usize), |(sum, count), note| (sum + f64::from(note.velocity.0), count + 1));
    (count > 0).then(|| sum / count as f64)
}
