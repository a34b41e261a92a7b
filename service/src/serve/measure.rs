//! Wishes that can only be leant towards are measured in the answer, and told where it missed.

use continuo_inference::Event;

use super::ask::Ask;
use super::tasks::Plan;

/// Names the density that was missed.
#[allow(clippy::cast_precision_loss)] // thousands of notes
pub fn missed(ask: &Ask, plan: &Plan, all: &[Vec<Event>], warnings: &mut Vec<String>) {
    let Some(density) = ask.wishes.density else { return };
    let (low, high) = density.band();
    let (from, to) = plan.page.span;
    let whole = plan.page.song.seconds(to) - plan.page.song.seconds(from);
    for (variation, events) in all.iter().enumerate() {
        let notes = events.len() as f64;
        let last = events.last().map_or(to, |event| plan.page.frame.beat(event.onset));
        let cut = ask.notes.is_some_and(|most| events.len() >= most);
        let seconds = if cut { plan.page.song.seconds(last) - plan.page.song.seconds(from) } else { whole };
        let pace = notes / seconds.max(0.01);
        if !(low..=high).contains(&pace) {
            warnings.push(format!(
                "variation {variation} has {pace:.1} notes a second, and {low} to {high} were wished for"
            ));
        }
    }
}
