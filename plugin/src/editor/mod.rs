//! Being written.
use crate::params::ContinuoParams;
use crate::view::View;
use std::sync::Arc;
/// x
pub struct App;
impl nice_plug_egui::NiceEguiApp for App {
    fn ui(&mut self, _: &mut egui::Ui, _: &mut nice_plug_egui::Frame) {}
}
/// x
pub fn create(_: Arc<ContinuoParams>, _: Arc<View>) -> Option<nice_plug_egui::EguiEditor<App>> {
    None
}
