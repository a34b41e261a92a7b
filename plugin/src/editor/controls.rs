//! The parameters, in groups; every change is a gesture that hosts can record.

use egui::{Button, ComboBox, Grid, RichText, Ui};
use nice_plug::context::gui::ParamSetter;
use nice_plug::prelude::{BoolParam, Enum, EnumParam, Param};
use nice_plug_egui::widgets::ParamSlider;

use super::QUIET;
use crate::params::ContinuoParams;
use crate::presets::{PRESETS, Preset};

/// Draws them.
pub fn draw(ui: &mut Ui, params: &ContinuoParams, set: &ParamSetter<'_>) {
    ui.horizontal(|ui| {
        for param in [&params.answer_now, &params.answer_again, &params.keep_that, &params.tap, &params.panic]
        {
            button(ui, param, set);
        }
        ui.add_space(12.0);
        for param in [&params.in_key, &params.sound, &params.thru, &params.bypass] {
            toggle(ui, param, set);
        }
        ui.add_space(12.0);
        ui.menu_button("Presets", |ui| {
            for preset in &PRESETS {
                if ui.button(preset.name).on_hover_text(preset.about).clicked() {
                    take(params, preset, set);
                    ui.close();
                }
            }
        });
    });
    ui.add_space(6.0);
    ui.horizontal_top(|ui| {
        group(ui, "answers", |ui| {
            choice(ui, &params.source, set);
            choice(ui, &params.mode, set);
            choice(ui, &params.trigger, set);
            choice(ui, &params.quantise, set);
            choice(ui, &params.gives_way, set);
            choice(ui, &params.midi_out, set);
            choice(ui, &params.grid, set);
        });
        group(ui, "music", |ui| {
            slider(ui, &params.length, set);
            slider(ui, &params.temperature, set);
            slider(ui, &params.top_p, set);
            slider(ui, &params.density, set);
            slider(ui, &params.player, set);
            slider(ui, &params.answer_instrument, set);
        });
        group(ui, "time and sound", |ui| {
            slider(ui, &params.lowest, set);
            slider(ui, &params.highest, set);
            slider(ui, &params.together, set);
            slider(ui, &params.seed, set);
            slider(ui, &params.trigger_bars, set);
            slider(ui, &params.trigger_key, set);
            slider(ui, &params.channel, set);
            slider(ui, &params.level, set);
            slider(ui, &params.tempo, set);
            choice(ui, &params.metronome, set);
        });
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

fn name<P: Param>(ui: &mut Ui, param: &P) {
    ui.label(RichText::new(param.name()).color(QUIET));
}

fn slider<P: Param>(ui: &mut Ui, param: &P, set: &ParamSetter<'_>) {
    name(ui, param);
    ui.add(ParamSlider::for_param(param, set).with_width(80.0));
    ui.end_row();
}

fn choice<T: Enum + PartialEq + Copy + 'static>(ui: &mut Ui, param: &EnumParam<T>, set: &ParamSetter<'_>) {
    name(ui, param);
    ComboBox::from_id_salt(param.name()).selected_text(T::variants()[param.value().to_index()]).show_ui(
        ui,
        |ui| {
            for (index, variant) in T::variants().iter().enumerate() {
                let value = T::from_index(index);
                if ui.selectable_label(param.value() == value, *variant).clicked() {
                    gesture(param, value, set);
                }
            }
        },
    );
    ui.end_row();
}

fn toggle(ui: &mut Ui, param: &BoolParam, set: &ParamSetter<'_>) {
    let mut on = param.value();
    if ui.checkbox(&mut on, param.name()).changed() {
        gesture(param, on, set);
    }
}

/// Down while the mouse is: a press is seen by the audio thread however short the block.
fn button(ui: &mut Ui, param: &BoolParam, set: &ParamSetter<'_>) {
    let response = ui.add(Button::new(param.name()));
    let down = response.is_pointer_button_down_on();
    if down != param.value() {
        gesture(param, down, set);
    }
}

fn gesture<P: Param>(param: &P, value: P::Plain, set: &ParamSetter<'_>) {
    set.begin_set_parameter(param);
    set.set_parameter(param, value);
    set.end_set_parameter(param);
}
