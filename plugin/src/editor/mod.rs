//! The editor: what the worker thinks, what was heard and answered, and the parameters.
//!
//! - `roll` the piano roll, `controls` the parameters, `teaching` learnt controls, `header` the state in words
//! - `partner` which model or service answers, `bringing` takes from files

mod bringing;
mod controls;
mod header;
mod partner;
mod roll;
mod teaching;

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use egui::{CentralPanel, Color32, Frame as Box_, Ui};
use nice_plug::context::gui::GuiContext;
use nice_plug::editor::dpi::LogicalSize;
use nice_plug_egui::baseview::HandlerError;
use nice_plug_egui::{
    EguiEditor, EguiEditorState, EguiNiceSettings, Frame, NiceEguiApp, RepaintNotifier, create_egui_editor,
};

use self::bringing::BringWindow;
use self::controls::Opened;
use self::partner::PartnerWindow;
use self::teaching::Teacher;
use crate::journal::{self, Found};
use crate::params::ContinuoParams;
use crate::view::{Picture, View};

/// What was heard.
pub(crate) const HEARD: Color32 = Color32::from_rgb(126, 162, 201);
/// What is answered.
pub(crate) const ANSWER: Color32 = Color32::from_rgb(235, 168, 88);
/// Behind everything.
pub(crate) const PAPER: Color32 = Color32::from_rgb(22, 24, 29);
/// Lines and quiet words.
pub(crate) const QUIET: Color32 = Color32::from_rgb(120, 126, 138);
/// What went wrong.
pub(crate) const WRONG: Color32 = Color32::from_rgb(226, 108, 96);

/// The window's content.
pub struct App {
    params: Arc<ContinuoParams>,
    view: Arc<View>,
    host: Option<GuiContext>,
    /// What a crash left, looked for once when the window is made.
    found: Vec<Found>,
    teacher: Teacher,
    partner: PartnerWindow,
    bring: BringWindow,
}

/// The editor of one instance, 900 by 640.
pub fn create(params: Arc<ContinuoParams>, view: Arc<View>) -> Option<EguiEditor<App>> {
    let state = EguiEditorState::from_size(LogicalSize::new(900.0, 640.0), 1.0);
    let settings = EguiNiceSettings { title: "Continuo".into(), ..EguiNiceSettings::default() };
    create_egui_editor(
        state,
        RepaintNotifier::new(),
        settings,
        App {
            params,
            view,
            host: None,
            found: Vec::new(),
            teacher: Teacher::default(),
            partner: PartnerWindow::default(),
            bring: BringWindow::default(),
        },
    )
}

impl App {
    /// Offers what a crash left.
    fn offer(&mut self, ui: &mut Ui) {
        let Some(found) = self.found.first().cloned() else { return };
        ui.horizontal(|ui| {
            let left = found.takes.len();
            let what =
                if left == 1 { "1 take or phrase".to_owned() } else { format!("{left} takes and phrases") };
            let words = format!("A session of {} was not closed in order: {what}.", ago(found.when));
            ui.label(egui::RichText::new(words).color(WRONG));
            let bring = ui.button("Bring them back").clicked();
            if bring {
                let takes = &self.params.takes.0;
                let back = takes.recover(&found.takes);
                // Until the project is saved they stand in this instance's journal; what cannot be written is in the
                // project all the same.
                let _ = back.iter().try_for_each(|take| takes.journal().kept(take));
            }
            if bring || ui.button("Dismiss").clicked() {
                // What cannot be marked is offered again next time.
                let _ = journal::close(&found);
                self.found.remove(0);
            }
        });
    }

    /// The windows that are open; whether something was changed that the project keeps.
    fn windows(&mut self, ui: &Ui, picture: &Picture) -> bool {
        let chosen = self.partner.is_open() && self.partner.draw(ui, picture, &self.params.partner.0);
        let brought = self.bring.is_open() && self.bring.draw(ui, &self.params.takes.0);
        chosen || brought
    }

    fn picture(&self) -> Arc<Picture> {
        Arc::clone(&self.view.picture.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl NiceEguiApp for App {
    fn build(&mut self, egui: egui::Context, host: GuiContext, _: &mut Frame) -> Result<(), HandlerError> {
        egui.set_visuals(egui::Visuals::dark());
        self.host = Some(host);
        self.found = journal::recoverable();
        Ok(())
    }

    fn ui(&mut self, ui: &mut Ui, _: &mut Frame) {
        ui.ctx().request_repaint_after(Duration::from_millis(33));
        let picture = self.picture();
        let line = f64::from_bits(self.view.line.load(Ordering::Relaxed));
        CentralPanel::default().frame(Box_::new().fill(PAPER).inner_margin(14.0)).show(ui, |ui| {
            header::draw(ui, &picture, &self.view);
            self.offer(ui);
            ui.add_space(8.0);
            roll::draw(ui, &picture, line, 185.0);
            ui.add_space(10.0);
            let changed = self.windows(ui, &picture);
            if let Some(host) = &self.host {
                let set = host.param_setter();
                self.teacher.follow(&self.params, &set);
                if changed {
                    teaching::mark(&self.params, &set);
                }
                match controls::draw(ui, &self.params, &set, &mut self.teacher.teaches) {
                    Some(Opened::Partner) => self.partner.toggle(&self.params.partner.0),
                    Some(Opened::Bring) => self.bring.toggle(),
                    None => {}
                }
            }
        });
    }

    fn editor_closed(&mut self) {
        self.host = None;
    }
}

/// How long ago in words.
fn ago(when: std::time::SystemTime) -> String {
    let minutes = when.elapsed().unwrap_or_default().as_secs() / 60;
    match minutes {
        0..120 => format!("{minutes} min ago"),
        120..2880 => format!("{} h ago", minutes / 60),
        _ => format!("{} days ago", minutes / 1440),
    }
}
