//! Services that this machine's user trusts, with their tokens: `services.json` in the user's data folder, and never in a
//! project, which goes to others. A project may name any address; only this machine itself is asked without the user's
//! leave, since what is played goes there.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::places;

/// What is known of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The token that it wants, or nothing.
    #[serde(default)]
    pub token: String,
}

type All = BTreeMap<String, Known>;

/// What is known of the service at an address; `None` if the user has not allowed it.
pub fn known(address: &str) -> Option<Known> {
    let file = file()?;
    read(&file).remove(address.trim()).or_else(|| is_here(address.trim()).then(Known::default))
}

/// The user allows a service, with a token or without.
pub fn allow(address: &str, token: &str) -> io::Result<()> {
    let none = || io::Error::other("there is no folder for your data; set HOME or CONTINUO_DATA");
    write(&file().ok_or_else(none)?, address.trim(), token.trim())
}

fn file() -> Option<PathBuf> {
    places::data().map(|data| data.join("services.json"))
}

fn read(file: &Path) -> All {
    // A damaged file allows nothing.
    fs::read_to_string(file).ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

fn write(file: &Path, address: &str, token: &str) -> io::Result<()> {
    let mut all = read(file);
    all.insert(address.into(), Known { token: token.into() });
    let text = serde_json::to_string_pretty(&all)?;
    fs::create_dir_all(file.parent().unwrap_or(file))?;
    let part = file.with_extension(format!("{}.part", std::process::id()));
    fs::write(&part, "")?;
    private(&part)?;
    fs::write(&part, text)?;
    fs::rename(&part, file)
}

#[cfg(unix)]
fn private(file: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn private(_: &Path) -> io::Result<()> {
    Ok(()) // what lies in a user's folder is that user's alone there
}

/// Whether an address is this machine itself.
fn is_here(address: &str) -> bool {
    let host = address.split_once("://").map_or("", |(_, rest)| rest);
    let host = host.split(['/', '?', '#']).next().unwrap_or("");
    if host.contains('@') {
        return false; // what stands before it is no place
    }
    let name = match host.strip_prefix('[') {
        Some(six) => six.split(']').next().unwrap_or(""),
        None => host.split(':').next().unwrap_or(""),
    };
    let number = name.parse::<std::net::IpAddr>();
    name.eq_ignore_ascii_case("localhost") || number.is_ok_and(|number| number.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_asked_without_leave() {
        for here in ["http://127.0.0.1:2011", "http://localhost", "https://[::1]:1/", "http://127.3.2.1/x"] {
            assert!(is_here(here), "{here}");
        }
        for away in [
            "http://10.0.0.7:2011",
            "http://127.0.0.1@evil.org",
            "http://localhost.evil.org",
            "http://localhost:x@evil.org",
            "",
        ] {
            assert!(!is_here(away), "{away}");
        }
    }

    #[test]
    fn tokens_are_kept_for_their_user_alone() {
        let folder = std::env::temp_dir().join(format!("continuo-services-{}", std::process::id()));
        let file = folder.join("services.json");
        write(&file, "http://a:1", "t").unwrap();
        write(&file, "http://b:1", "").unwrap();
        let all = read(&file);
        assert_eq!((all["http://a:1"].token.as_str(), all["http://b:1"].token.as_str()), ("t", ""));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
        fs::write(&file, "{damaged").unwrap();
        assert!(read(&file).is_empty());
        fs::remove_dir_all(folder).unwrap();
    }
}
