//! Who the partner is: a model of this machine, or a service elsewhere. Nothing is chosen before *Use* is pressed.

use std::sync::Arc;

use egui::{ComboBox, RichText, TextEdit, Ui, Window};

use super::{ANSWER, QUIET, WRONG};
use crate::models;
use crate::partner::{Partner, PartnerStore};
use crate::services;
use crate::view::{ModelState, Picture, ServiceState};

/// The window, and what is typed into it.
#[derive(Default)]
pub struct PartnerWindow {
    open: bool,
    typed: Partner,
    token: String,
    names: Vec<String>,
    wrong: String,
}

impl PartnerWindow {
    /// Opens it with what is chosen, or closes it.
    pub fn toggle(&mut self, store: &PartnerStore) {
        self.open = !self.open;
        if self.open {
            self.typed = store.partner();
            self.token.clear();
            self.wrong.clear();
            self.names = models::names();
        }
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Draws it; whether something was chosen.
    pub fn draw(&mut self, ui: &Ui, picture: &Picture, store: &Arc<PartnerStore>) -> bool {
        let (mut open, mut chosen) = (self.open, false);
        Window::new("Partner").open(&mut open).collapsible(false).default_width(460.0).show(ui.ctx(), |ui| {
            self.model(ui);
            ui.label(RichText::new(model(&picture.model).0).color(model(&picture.model).1));
            ui.separator();
            self.service(ui);
            if let Some((words, colour)) = service(&picture.service) {
                ui.label(RichText::new(words).color(colour));
            }
            ui.separator();
            ui.horizontal(|ui| {
                chosen = ui.button("Use").clicked();
                ui.label(RichText::new(&self.wrong).color(WRONG));
            });
        });
        self.open = open;
        chosen && self.choose(store)
    }

    fn model(&mut self, ui: &mut Ui) {
        ui.label("A model of this machine: a name, or a file or folder. Empty is the one in the box.");
        ui.horizontal(|ui| {
            ui.add(TextEdit::singleline(&mut self.typed.model).desired_width(300.0).hint_text("default"));
            ComboBox::from_id_salt("models").selected_text("Found").show_ui(ui, |ui| {
                for name in &self.names {
                    if ui.selectable_label(*name == self.typed.model, name).clicked() {
                        self.typed.model.clone_from(name);
                    }
                }
            });
        });
    }

    fn service(&mut self, ui: &mut Ui) {
        ui.label("Or a service that answers instead (`continuo serve`); what you play goes there.");
        ui.horizontal(|ui| {
            let address = TextEdit::singleline(&mut self.typed.address).desired_width(240.0);
            ui.add(address.hint_text("http://127.0.0.1:2011"));
            let token = TextEdit::singleline(&mut self.token).password(true).desired_width(120.0);
            ui.add(token.hint_text("token"));
        });
        ui.checkbox(&mut self.typed.falls_back, "The model here plays while the service does not answer");
        ui.label(
            RichText::new("The token stays on this machine; the project keeps the address.").color(QUIET),
        );
    }

    fn choose(&mut self, store: &PartnerStore) -> bool {
        self.wrong.clear();
        let address = self.typed.address.trim().to_owned();
        self.typed.address.clone_from(&address);
        // To press the button is to allow it.
        let new = !address.is_empty() && (!self.token.is_empty() || services::known(&address).is_none());
        if new && let Err(error) = services::allow(&address, &self.token) {
            self.wrong = format!("The service cannot be written down: {error}");
            return false;
        }
        store.choose(self.typed.clone());
        true
    }
}

/// The model in words.
pub fn model(state: &ModelState) -> (String, egui::Color32) {
    match state {
        ModelState::Loading => ("Model: being loaded".to_owned(), QUIET),
        ModelState::Ready(name) => (format!("Model: {name}"), QUIET),
        ModelState::Replacing { now, by } => (format!("Model: {now}, until {by} is loaded"), QUIET),
        ModelState::Instead { now, why } => (format!("Model: {now} plays instead; {why}"), WRONG),
        ModelState::Failed(what) => (format!("No model: {what}"), WRONG),
        ModelState::Unused => ("Model: none here".to_owned(), QUIET),
    }
}

/// The service in words, if one is to answer.
pub fn service(state: &ServiceState) -> Option<(String, egui::Color32)> {
    Some(match state {
        ServiceState::None => return None,
        ServiceState::Connecting(address) => (format!("Connecting to {address}"), QUIET),
        ServiceState::Answers { address, model } => (format!("{model} answers at {address}"), ANSWER),
        ServiceState::Slow { address } => {
            (format!("{address} is too slow; the model here plays for a while"), WRONG)
        }
        ServiceState::Gone { why, falls_back: true } => (format!("The model here plays: {why}"), WRONG),
        ServiceState::Gone { why, falls_back: false } => (format!("No answers: {why}"), WRONG),
        ServiceState::Stranger(address) => {
            (format!("This project wants to play with {address}: press Use in Partner to allow it"), WRONG)
        }
    })
}
