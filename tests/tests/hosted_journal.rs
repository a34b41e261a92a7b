//! The journal ends with the instance, and with nothing less.

mod linked;

use std::path::PathBuf;

use continuo_plugin::places;
use continuo_tests::host::{Hosted, Song, parse};

const PHRASE: &str = "A3@0 len 0.9 vel 90 C4@1 E4@2 A4@3 G4@4 len 0.45 E4@4.5 len 0.9";

/// What this process wrote down, there is one instance in it.
fn written() -> Option<String> {
    let folder = places::data().expect("a data folder").join("journal");
    let own = format!("-{}-", std::process::id());
    let is_own = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().contains(&own));
    let path = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).find(is_own)?;
    std::fs::read_to_string(path).ok()
}

#[test]
fn a_bounce_ends_no_journal() {
    let mut plugin = Hosted::new(&linked::linked());
    for rate in [48_000.0, 44_100.0] {
        plugin.deactivate();
        plugin.offline();
        plugin.activate(rate, 512);
        plugin.play(&parse(PHRASE), &Song::steady(120.0), 6.0, 512);
        plugin.turn("Keep that", 1.0);
        plugin.play(&[], &Song::stopped(120.0), 0.5, 512);
        plugin.turn("Keep that", 0.0);
        plugin.play(&[], &Song::stopped(120.0), 0.1, 512);
    }
    plugin.deactivate();
    let text = written().expect("a journal");
    assert_eq!(text.matches("\"Kept\"").count(), 2, "{text}");
    assert!(!text.contains("Closed"), "a host that crashes now loses both");
    drop(plugin);
    assert!(written().expect("a journal").contains("Closed"));
}
