//! Wishes: each acts on the choice of tokens or on how loud notes are written, or is named as unsupported.

use continuo_remote::wire::{Density, Task};
use continuo_timeline::Note;

use super::{Plan, gm};
use crate::serve::ask::Ask;

/// Names of the wishes that a plan can be held to.
pub const SUPPORTED: &[&str] = &[
    "temperature",
    "top_p",
    "max_tokens",
    "length_seconds",
    "instruments",
    "preserve_melody",
    "vary_harmony",
    "vary_rhythm",
    "target_energy",
    "instrument_hints",
    "avoid_jumps",
    "density",
    "fade_out",
];

/// Whether a task heeds a wish; [`grant`] names those that it does not.
pub fn is_heeded(name: &str, task: Task) -> bool {
    match (name, task) {
        (_, Task::Embed | Task::Classify) => false,
        ("preserve_melody" | "vary_rhythm", task) => task == Task::GenerateSeeded,
        // From nothing there are no pitch classes to keep to.
        ("vary_harmony", task) => task != Task::Generate,
        _ => true,
    }
}

/// An octave.
const LEAP: u8 = 12;

/// The plan with what is wished for; `seed` is what vary_harmony looks at.
pub fn grant(ask: &Ask, mut plan: Plan, seed: &[Note]) -> Plan {
    let wishes = &ask.wishes;
    let mut unsupported = |name: &str| plan.unsupported.push(name.into());
    if wishes.preserve_melody == Some(true) && !is_heeded("preserve_melody", ask.task) {
        unsupported("preserve_melody");
    }
    if wishes.vary_rhythm == Some(false) && !is_heeded("vary_rhythm", ask.task) {
        unsupported("vary_rhythm");
    }
    if wishes.vary_harmony == Some(false) && seed.is_empty() {
        unsupported("vary_harmony");
    }
    if wishes.style_hints.as_ref().is_some_and(|hints| !hints.is_empty()) {
        unsupported("style_hints");
    }
    loudness(ask, &mut plan);
    voices(ask, &mut plan);
    if wishes.vary_harmony == Some(false) && !seed.is_empty() {
        plan.prompt.constraints.scale &= classes(seed);
    }
    if wishes.avoid_jumps == Some(true) {
        plan.prompt.leap = Some(LEAP);
    }
    plan
}

/// Energy, density, fading.
#[allow(clippy::cast_possible_truncation)] // about 0.3 to 4
fn loudness(ask: &Ask, plan: &mut Plan) {
    let mut density = match ask.wishes.density {
        Some(Density::Sparse) => 0.4,
        Some(Density::Dense) => 2.5,
        Some(Density::Medium) | None => 1.0,
    };
    if let Some(energy) = ask.wishes.target_energy {
        density *= (1.4 * (energy - 0.5)).exp();
        plan.page.loud = Some(34.0 + 84.0 * energy);
    }
    plan.prompt.constraints.density = density as f32;
    plan.page.fades = ask.wishes.fade_out == Some(true);
}

/// Who plays, by name.
fn voices(ask: &Ask, plan: &mut Plan) {
    let Some(hints) = ask.wishes.instrument_hints.as_ref().filter(|hints| !hints.is_empty()) else { return };
    let mut programs = Vec::new();
    for hint in hints {
        match gm::programs(hint) {
            Some(found) => programs.extend(found),
            None => plan.unsupported.push(format!("instrument_hints: {hint:.40}")),
        }
    }
    // Of a family, those who play already, else its first.
    let own = plan.prompt.instruments.clone().unwrap_or_default();
    let kept: Vec<u8> = own.iter().copied().filter(|one| programs.contains(one)).collect();
    if !kept.is_empty() {
        plan.prompt.instruments = Some(kept);
    } else if !programs.is_empty() {
        let firsts = hints.iter().filter_map(|hint| gm::programs(hint).and_then(|mut found| found.next()));
        plan.prompt.instruments = Some(firsts.collect());
    }
}

/// Pitch classes of what is not a drum, a bit each.
fn classes(notes: &[Note]) -> u16 {
    let pitched = notes.iter().filter(|note| !note.instrument.is_drums());
    let found = pitched.fold(0, |all, note| all | 1 << (note.key.0 % 12));
    if found == 0 { 0xFFF } else { found }
}
