//! The plugin crate, linked into a test, with its CLAP entry.

use clack_host::entry::EntryDescriptor;
use continuo_plugin as _;
use continuo_tests::host::Source;

unsafe extern "C" {
    // Exported by the plugin crate.
    static clap_entry: EntryDescriptor;
}

/// The linked plugin.
pub fn linked() -> Source {
    // SAFETY: a static that is never written.
    Source::Linked(unsafe { &clap_entry })
}
