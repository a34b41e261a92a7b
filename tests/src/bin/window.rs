//! A small host with a window: opens the editor of a bundle on an X11 screen while a phrase plays: `window Continuo.clap SECONDS`.

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<()> {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("only for X11");
}

#[cfg(target_os = "linux")]
mod linux {
    use std::path::PathBuf;
    use std::time::{Duration, Instant};

    use anyhow::{Context, Result};
    use clack_extensions::gui::{GuiApiType, GuiConfiguration, PluginGui, Window};
    use continuo_tests::host::{Hosted, Song, Source, parse};
    use x11rb::connection::Connection;
    use x11rb::protocol::xproto::{ConnectionExt, CreateWindowAux, WindowClass};

    pub fn main() -> Result<()> {
        let mut args = std::env::args_os().skip(1);
        let bundle = args.next().map(PathBuf::from).context("usage: window Continuo.clap SECONDS")?;
        let seconds: f64 = args.next().and_then(|s| s.to_str()?.parse().ok()).unwrap_or(10.0);
        let mut plugin = Hosted::new(&Source::Bundle(bundle));
        let (connection, screen) = x11rb::connect(None)?;
        let gui = plugin.instance.plugin_handle().get_extension::<PluginGui>().context("no editor")?;
        let embedded = GuiConfiguration { api_type: GuiApiType::X11, is_floating: false };
        gui.create(&mut plugin.instance.plugin_handle(), embedded)?;
        let size = gui.get_size(&mut plugin.instance.plugin_handle()).context("an editor without a size")?;
        let window = connection.generate_id()?;
        let root = &connection.setup().roots[screen];
        connection.create_window(
            x11rb::COPY_DEPTH_FROM_PARENT,
            window,
            root.root,
            0,
            0,
            u16::try_from(size.width)?,
            u16::try_from(size.height)?,
            0,
            WindowClass::INPUT_OUTPUT,
            0,
            &CreateWindowAux::new(),
        )?;
        connection.map_window(window)?;
        connection.flush()?;
        let parent = Window::from_x11_handle(window.into());
        // SAFETY: the window lives until the editor is destroyed below.
        unsafe { gui.set_parent(&mut plugin.instance.plugin_handle(), parent)? };
        let _ = gui.show(&mut plugin.instance.plugin_handle());
        println!("OPEN {} {}", size.width, size.height);
        play(&mut plugin, seconds);
        gui.destroy(&mut plugin.instance.plugin_handle());
        Ok(())
    }

    // In step with the clock, so that the picture is one that a player would see.
    fn play(plugin: &mut Hosted, seconds: f64) {
        plugin.activate(48_000.0, 4800);
        let score = parse("A3@0 len 0.9 vel 90 C4@1 E4@2 A4@3 G4@4 len 0.45 E4@4.5 C3@0 len 3.8 vel 70 E3@0");
        plugin.watch = pace;
        START.get_or_init(Instant::now);
        plugin.play(&score, &Song::steady(120.0), seconds, 4800);
    }

    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    static BLOCKS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

    fn pace(before: bool) {
        if before {
            return;
        }
        let blocks = BLOCKS.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        let due = Duration::from_millis(100) * blocks;
        let now = START.get_or_init(Instant::now).elapsed();
        std::thread::sleep(due.saturating_sub(now));
    }
}
