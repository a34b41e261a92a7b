//! Where a user's data lies.

use std::path::PathBuf;

/// `CONTINUO_DATA`, else the system's place for a user's data.
pub fn data() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let own = variable("CONTINUO_DATA");
    let base = if cfg!(windows) {
        variable("LOCALAPPDATA").map(|base| base.join("Continuo"))
    } else if cfg!(target_os = "macos") {
        variable("HOME").map(|home| home.join("Library/Application Support/Continuo"))
    } else {
        let data =
            variable("XDG_DATA_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/share")));
        data.map(|data| data.join("continuo"))
    };
    own.or(base)
}
