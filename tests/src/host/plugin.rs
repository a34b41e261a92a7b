//! One instance of the plugin, loaded from where one says.

use std::ffi::CString;
use std::io::Cursor;
use std::path::PathBuf;

use clack_extensions::gui::{GuiSize, HostGui, HostGuiImpl};
use clack_extensions::params::{ParamInfoBuffer, PluginParams};
use clack_extensions::render::{PluginRender, RenderMode};
use clack_extensions::state::PluginState;
use clack_host::entry::EntryDescriptor;
use clack_host::prelude::*;
use clack_host::utils::ClapId;

use super::Sound;

/// Where the plugin comes from.
#[derive(Clone)]
pub enum Source {
    /// The crate linked into this program: its CLAP entry.
    Linked(&'static EntryDescriptor),
    /// A `.clap` on disk.
    Bundle(PathBuf),
}

/// The host's side: it asks for nothing and is told nothing.
pub struct Host;

/// Shared part of the host.
pub struct Shared;

impl SharedHandler<'_> for Shared {
    fn request_restart(&self) {}
    fn request_process(&self) {}
    fn request_callback(&self) {}
}

impl HostHandlers for Host {
    type Shared<'a> = Shared;
    type MainThread<'a> = ();
    type AudioProcessor<'a> = ();

    // The framework takes it for granted that a host with windows offers this side of them.
    fn declare_extensions(builder: &mut HostExtensions<'_, Self>, _: &Self::Shared<'_>) {
        builder.register::<HostGui>();
    }
}

impl HostGuiImpl for Shared {
    fn resize_hints_changed(&self) {}

    fn request_resize(&self, _: GuiSize) -> Result<(), HostError> {
        Err(HostError::Message("this host's windows keep their size"))
    }

    fn request_show(&self) -> Result<(), HostError> {
        Ok(())
    }

    fn request_hide(&self) -> Result<(), HostError> {
        Ok(())
    }

    fn closed(&self, _: bool) {}
}

/// A parameter as the plugin describes it.
#[derive(Clone, Debug)]
pub struct Param {
    /// Its CLAP id.
    pub id: ClapId,
    /// Its display name.
    pub name: String,
    /// Least and largest plain value.
    pub range: (f64, f64),
    /// Default plain value.
    pub default: f64,
}

/// An instance of the plugin, and how it is run.
pub struct Hosted {
    /// The instance; its main thread is the thread that made it.
    pub instance: PluginInstance<Host>,
    /// What it lets one turn.
    pub params: Vec<Param>,
    /// Audio half while active.
    pub(super) processor: Option<PluginAudioProcessor<Host>>,
    /// Samples a second, and most samples in a block.
    pub(super) config: (f64, u32),
    /// Samples since activation.
    pub(super) steady: u64,
    /// Parameter changes for the next block.
    pub(super) turned: Vec<(ClapId, f64)>,
    /// The same for samples of the next performance.
    pub(super) later: Vec<(u64, ClapId, f64)>,
    /// Called on the audio thread with `true` right before each `process()` and with `false` right after.
    pub watch: fn(bool),
    /// Called on the audio thread with each event that came out, after its block.
    pub heard: fn(Sound),
}

impl Hosted {
    /// Loads and makes an instance. Panics with the reason when it cannot: it is called by tests.
    pub fn new(source: &Source) -> Self {
        let entry = match source {
            // SAFETY: the static is the plugin's CLAP entry, which lives as long as the program.
            Source::Linked(entry) => unsafe { PluginEntry::load_from_raw(entry, c"/linked/Continuo.clap") },
            // SAFETY: the bundle is our own plugin.
            Source::Bundle(path) => unsafe { PluginEntry::load(path) },
        }
        .unwrap_or_else(|e| panic!("the plugin does not load: {e}"));
        let factory = entry.get_plugin_factory().expect("a plugin factory");
        let descriptor = factory.plugin_descriptors().next().expect("a plugin");
        let id: CString = descriptor.id().expect("an id").into();
        let info = HostInfo::new("Continuo tests", "Continuo", "", "1").expect("valid host info");
        let mut instance = PluginInstance::new(|_| Shared, |_| (), &entry, &id, &info).expect("an instance");
        let params = params(&mut instance);
        Self {
            instance,
            params,
            processor: None,
            config: (48_000.0, 512),
            steady: 0,
            turned: Vec::new(),
            later: Vec::new(),
            watch: |_| {},
            heard: |_| {},
        }
    }

    /// Activates at `rate` samples a second with blocks of at most `block` samples.
    pub fn activate(&mut self, rate: f64, block: u32) {
        let config =
            PluginAudioConfiguration { sample_rate: rate, min_frames_count: 1, max_frames_count: block };
        let stopped = self.instance.activate(|_, _| (), config).expect("activate");
        let mut processor: PluginAudioProcessor<Host> = stopped.into();
        processor.start_processing().expect("start processing");
        self.processor = Some(processor);
        self.config = (rate, block);
        self.steady = 0;
    }

    /// Stops and deactivates.
    pub fn deactivate(&mut self) {
        if let Some(processor) = self.processor.take() {
            self.instance.deactivate(processor.into_stopped());
        }
    }

    /// `clap_plugin.reset`.
    pub fn reset(&mut self) {
        self.processor.as_mut().expect("active").reset();
    }

    /// Says that rendering is offline, so that the plugin waits for its worker. Call it before [`Hosted::activate`].
    pub fn offline(&mut self) {
        let mut handle = self.instance.plugin_handle();
        let render = handle.get_extension::<PluginRender>().expect("the render extension");
        render.set(&mut handle, RenderMode::Offline).expect("offline");
    }

    /// Says that it plays live again. Call it before [`Hosted::activate`].
    pub fn realtime(&mut self) {
        let mut handle = self.instance.plugin_handle();
        let render = handle.get_extension::<PluginRender>().expect("the render extension");
        render.set(&mut handle, RenderMode::Realtime).expect("live");
    }

    /// Turns the parameter called `name` to a plain value at the start of the next block.
    pub fn turn(&mut self, name: &str, value: f64) {
        let id = self.param(name).id;
        self.turned.push((id, value));
    }

    /// The same at a sample of the next performance.
    pub fn turn_at(&mut self, name: &str, value: f64, sample: u64) {
        let id = self.param(name).id;
        self.later.push((sample, id, value));
    }

    /// The parameter called `name`, without regard to case.
    pub fn param(&self, name: &str) -> &Param {
        let names = || self.params.iter().map(|p| p.name.as_str()).collect::<Vec<_>>().join(", ");
        let found = self.params.iter().find(|p| p.name.eq_ignore_ascii_case(name));
        found.unwrap_or_else(|| panic!("no parameter {name}; there are {}", names()))
    }

    /// Current plain value of a parameter.
    pub fn value(&mut self, name: &str) -> f64 {
        let id = self.param(name).id;
        let mut handle = self.instance.plugin_handle();
        let params = handle.get_extension::<PluginParams>().expect("the params extension");
        params.get_value(&mut handle, id).expect("a value")
    }

    /// The state, as the host would save it.
    pub fn save(&mut self) -> Vec<u8> {
        let mut handle = self.instance.plugin_handle();
        let state = handle.get_extension::<PluginState>().expect("the state extension");
        let mut bytes = Vec::new();
        state.save(&mut handle, &mut bytes).expect("a saved state");
        bytes
    }

    /// Loads a state; whether the plugin took it.
    pub fn load(&mut self, bytes: &[u8]) -> bool {
        let mut handle = self.instance.plugin_handle();
        let state = handle.get_extension::<PluginState>().expect("the state extension");
        state.load(&mut handle, &mut Cursor::new(bytes)).is_ok()
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        self.deactivate();
    }
}

fn params(instance: &mut PluginInstance<Host>) -> Vec<Param> {
    let mut handle = instance.plugin_handle();
    let Some(ext) = handle.get_extension::<PluginParams>() else { return Vec::new() };
    let mut found = Vec::new();
    for index in 0..ext.count(&mut handle) {
        let mut buffer = ParamInfoBuffer::new();
        let Some(info) = ext.get_info(&mut handle, index, &mut buffer) else { continue };
        found.push(Param {
            id: info.id,
            name: String::from_utf8_lossy(info.name).into_owned(),
            range: (info.min_value, info.max_value),
            default: info.default_value,
        });
    }
    found
}
