//! The parameters, in groups; every change is a gesture that hosts can record. While teaching, a click on a name
//! waits for a key or a controller to learn for it.

use egui::{Button, ComboBox, Grid, RichText, Ui};
use nice_plug::context::gui::ParamSetter;
use nice_plug::prelude::{BoolParam, Enum, EnumParam, Param};
use nice_plug_egui::widgets::ParamSlider;

use super::QUIET;
use super::teaching::{self, Desk};
use crate::params::{ContinuoParams, Target};
use crate::presets::{PRESETS, Preset};

/// A window that was asked for.
pub enum Opened {
    /// Who answers.
    Partner,
    /// A take from a file.
    Bring,
}

/// Draws them; which window was asked for.
pub fn draw(
    ui: &mut Ui,
    params: &ContinuoParams,
    set: &ParamSetter<'_>,
    teaches: &mut bool,
) -> Option<Opened> {
    let mut opened = None;
    let desk = Desk { params, set, teaches: *teaches };
    ui.horizontal(|ui| {
        button(ui, &desk, &params.answer_now, Target::AnswerNow);
        button(ui, &desk, &params.answer_again, Target::AnswerAgain);
        button(ui, &desk, &params.keep_that, Target::KeepThat);
        button(ui, &desk, &params.tap, Target::Tap);
        button(ui, &desk, &params.panic, Target::Panic);
        ui.add_space(12.0);
        ui.menu_button("Presets", |ui| {
            for preset in &PRESETS {
                if ui.button(preset.name).on_hover_text(preset.about).clicked() {
                    take(params, preset, set);
                    ui.close();
                }
            }
        });
        ui.toggle_value(teaches, "Learn").on_hover_text("Teach keys and controllers of your keyboard");
        if ui.button("Partner").on_hover_text("Which model answers, or a service elsewhere").clicked() {
            opened = Some(Opened::Partner);
        }
        if ui.button("Bring in").on_hover_text("A MIDI file becomes a take").clicked() {
            opened = Some(Opened::Bring);
        }
    });
    ui.horizontal(|ui| {
        switch(ui, &desk, &params.in_key, Target::InKey);
        switch(ui, &desk, &params.sound, Target::Sound);
        switch(ui, &desk, &params.thru, Target::Thru);
        switch(ui, &desk, &params.mute, Target::Mute);
        switch(ui, &desk, &params.hear_others, Target::HearOthers);
        switch(ui, &desk, &params.bypass, Target::Bypass);
        if desk.teaches {
            ui.label(RichText::new(teaching::HOW).color(QUIET));
        }
    });
    ui.add_space(6.0);
    ui.horizontal_top(|ui| groups(ui, &desk));
    opened
}

fn groups(ui: &mut Ui, desk: &Desk<'_>) {
    let params = desk.params;
    group(ui, "answers", |ui| {
        choice(ui, desk, &params.source, Target::Source);
        choice(ui, desk, &params.mode, Target::Mode);
        choice(ui, desk, &params.trigger, Target::Trigger);
        choice(ui, desk, &params.quantise, Target::Quantise);
        choice(ui, desk, &params.gives_way, Target::Yield);
        choice(ui, desk, &params.midi_out, Target::MidiOut);
        choice(ui, desk, &params.grid, Target::Grid);
        choice(ui, desk, &params.metronome, Target::Metronome);
        slider(ui, desk, &params.trigger_bars, Target::TriggerBars);
        slider(ui, desk, &params.launch_bars, Target::LaunchBars);
    });
    group(ui, "music", |ui| {
        slider(ui, desk, &params.length, Target::Length);
        slider(ui, desk, &params.temperature, Target::Temperature);
        slider(ui, desk, &params.top_p, Target::TopP);
        slider(ui, desk, &params.density, Target::Density);
        slider(ui, desk, &params.feel, Target::Feel);
        slider(ui, desk, &params.lowest, Target::Lowest);
        slider(ui, desk, &params.highest, Target::Highest);
        slider(ui, desk, &params.together, Target::Together);
        slider(ui, desk, &params.seed, Target::Seed);
        unlearnable(ui, desk, &params.trigger_key);
    });
    group(ui, "time and sound", |ui| {
        slider(ui, desk, &params.player, Target::Player);
        slider(ui, desk, &params.answer_instrument, Target::AnswerInstrument);
        slider(ui, desk, &params.instrument_2, Target::Instrument2);
        slider(ui, desk, &params.instrument_3, Target::Instrument3);
        slider(ui, desk, &params.instrument_4, Target::Instrument4);
        unlearnable(ui, desk, &params.channel);
        slider(ui, desk, &params.level, Target::Level);
        slider(ui, desk, &params.tempo, Target::Tempo);
    });
}

/// Sets what the preset names.
fn take(params: &ContinuoParams, preset: &Preset, set: &ParamSetter<'_>) {
    gesture(&params.trigger, preset.trigger.0, set);
    gesture(&params.trigger_bars, preset.trigger.1, set);
    gesture(&params.quantise, preset.quantise, set);
    gesture(&params.length, preset.bars, set);
    let (temperature, top_p, density) = preset.taste;
    gesture(&params.temperature, temperature, set);
    gesture(&params.top_p, top_p, set);
    gesture(&params.density, density, set);
}

fn group(ui: &mut Ui, name: &str, rows: impl FnOnce(&mut Ui)) {
    Grid::new(name).num_columns(2).spacing([8.0, 5.0]).show(ui, rows);
    ui.add_space(14.0);
}

fn unlearnable<P: Param>(ui: &mut Ui, desk: &Desk<'_>, param: &P) {
    ui.label(RichText::new(param.name()).color(QUIET));
    ui.add(ParamSlider::for_param(param, desk.set).with_width(80.0));
    ui.end_row();
}

fn slider<P: Param>(ui: &mut Ui, desk: &Desk<'_>, param: &P, target: Target) {
    teaching::name(ui, desk, target);
    ui.add(ParamSlider::for_param(param, desk.set).with_width(80.0));
    ui.end_row();
}

fn choice<T: Enum + PartialEq + Copy + 'static>(
    ui: &mut Ui,
    desk: &Desk<'_>,
    param: &EnumParam<T>,
    target: Target,
) {
    teaching::name(ui, desk, target);
    let combo = ComboBox::from_id_salt(param.name()).selected_text(T::variants()[param.value().to_index()]);
    combo.show_ui(ui, |ui| {
        for (index, variant) in T::variants().iter().enumerate() {
            let value = T::from_index(index);
            if desk.teaches {
                teaching::step(ui, desk, target, index, variant);
            } else if ui.selectable_label(param.value() == value, *variant).clicked() {
                gesture(param, value, desk.set);
            }
        }
    });
    ui.end_row();
}

fn switch(ui: &mut Ui, desk: &Desk<'_>, param: &BoolParam, target: Target) {
    if desk.teaches {
        return teaching::name(ui, desk, target);
    }
    let mut on = param.value();
    if ui.checkbox(&mut on, param.name()).changed() {
        gesture(param, on, desk.set);
    }
}

/// Down while the mouse is: a press is seen by the audio thread however short the block.
fn button(ui: &mut Ui, desk: &Desk<'_>, param: &BoolParam, target: Target) {
    if desk.teaches {
        return teaching::name(ui, desk, target);
    }
    let response = ui.add(Button::new(param.name()));
    let down = response.is_pointer_button_down_on();
    if down != param.value() {
        gesture(param, down, desk.set);
    }
}

fn gesture<P: Param>(param: &P, value: P::Plain, set: &ParamSetter<'_>) {
    set.begin_set_parameter(param);
    set.set_parameter(param, value);
    set.end_set_parameter(param);
}
