//! The state in words: what it does, the model, what was heard and sent, and what to do when it cannot.

use std::sync::atomic::Ordering;

use egui::{RichText, Ui};

use super::{ANSWER, HEARD, QUIET, WRONG, partner};
use crate::view::{Activity, Picture, ServiceState, View};

/// Draws it.
pub fn draw(ui: &mut Ui, picture: &Picture, view: &View) {
    ui.horizontal_wrapped(|ui| {
        let (word, colour) = status(picture.activity);
        ui.label(RichText::new("Continuo").size(20.0).strong());
        ui.add_space(16.0);
        ui.label(RichText::new(word).size(20.0).color(colour));
        ui.add_space(16.0);
        let answers = matches!(picture.service, ServiceState::Answers { .. });
        let own = (!answers).then(|| partner::model(&picture.model));
        for (words, colour) in own.into_iter().chain(partner::service(&picture.service)) {
            ui.label(RichText::new(words).color(colour));
        }
    });
    ui.horizontal_wrapped(|ui| {
        let count = |number: &std::sync::atomic::AtomicU32| number.load(Ordering::Relaxed);
        let tempo = f32::from_bits(view.tempo.load(Ordering::Relaxed));
        let quiet = |ui: &mut Ui, words: String| ui.label(RichText::new(words).color(QUIET));
        ui.label(RichText::new(format!("in {}", count(&view.notes_in))).color(HEARD));
        ui.label(RichText::new(format!("out {}", count(&view.notes_out))).color(ANSWER));
        quiet(ui, format!("{tempo:.1} BPM"));
        if !picture.key.is_empty() {
            quiet(ui, picture.key.clone());
        }
        if !picture.chord.is_empty() {
            quiet(ui, picture.chord.clone());
        }
        quiet(ui, format!("voices {}", count(&view.voices)));
        quiet(ui, format!("late {}  lost {}", count(&view.late), count(&view.dropped)));
        let (hits, backups, misses) = (count(&view.hits), count(&view.backups), count(&view.misses));
        quiet(ui, format!("beats {hits}/{backups}/{misses}")).on_hover_text(
            "Beats of answers that were there in time, that the plan before covered, and that nothing covered",
        );
        quiet(ui, format!("{:.2} ms a token", picture.ms_per_token));
        let defects = count(&view.defects);
        if defects > 0 {
            ui.label(RichText::new(format!("defects {defects}")).color(WRONG))
                .on_hover_text("Continuo met a defect of its own and listened anew; please report it");
        }
        let takes = quiet(ui, format!("takes {}", picture.takes));
        if !picture.take.is_empty() {
            takes.on_hover_text(format!("What plays with Source = Takes: {}", picture.take));
        }
        ui.label(RichText::new(&picture.message).color(WRONG));
    });
}

fn status(activity: Activity) -> (&'static str, egui::Color32) {
    match activity {
        Activity::Off => ("Off", QUIET),
        Activity::Waiting => ("Waiting", QUIET),
        Activity::Listening => ("Listening", HEARD),
        Activity::Thinking => ("Thinking", ANSWER),
        Activity::Playing => ("Playing", ANSWER),
    }
}
