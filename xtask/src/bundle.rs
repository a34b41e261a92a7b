//! Bundles: the layouts that hosts expect, made of one cdylib, and where each system's hosts look.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::info::{Bundle, bundles};
use crate::run::{cargo, must, root, target};

/// Builds and bundles; gives the folder with the bundles.
pub fn bundle(release: bool) -> Result<PathBuf> {
    for each in bundles()? {
        build(&each, release)?;
        let library = library(&each, release);
        for format in &each.formats {
            let made = make(&each, format, &library)?;
            println!("{} {} ({}, {})", format, made.display(), each.clap_id, each.vendor);
        }
        for file in &each.ship {
            copy(&root().join(file), &folder().join(file))?;
        }
    }
    Ok(folder())
}

/// Builds for release and puts the bundles where hosts look.
pub fn install() -> Result<()> {
    let from = bundle(true)?;
    for each in bundles()? {
        for format in &each.formats {
            let name = format!("{}.{format}", each.name);
            let to = hosts_look(format)?.join(&name);
            remove(&to)?;
            copy_all(&from.join(&name), &to)?;
            println!("installed {}", to.display());
        }
    }
    Ok(())
}

/// Where bundles are made.
pub fn folder() -> PathBuf {
    root().join("target/bundled")
}

// In the dev profile the whole workspace is built, so that cargo unifies features the same way for
// demo, bundles and tests, and compiles the dependency tree once.
fn build(bundle: &Bundle, release: bool) -> Result<()> {
    let args: &[&str] = match release {
        true => &["build", "--release", "--package", &bundle.package],
        false => &["build", "--workspace"],
    };
    must(&mut cargo(args))
}

fn library(bundle: &Bundle, release: bool) -> PathBuf {
    let profile = if release { "release" } else { "debug" };
    let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    target().join(profile).join(format!("{prefix}{}{suffix}", bundle.library))
}

fn make(bundle: &Bundle, format: &str, library: &Path) -> Result<PathBuf> {
    let to = folder().join(format!("{}.{format}", bundle.name));
    remove(&to)?;
    if cfg!(target_os = "macos") {
        copy(library, &to.join("Contents/MacOS").join(&bundle.name))?;
        std::fs::write(to.join("Contents/PkgInfo"), "BNDL????")?;
        std::fs::write(to.join("Contents/Info.plist"), plist(bundle))?;
        return Ok(to);
    }
    let inside = match format {
        "clap" => to.clone(),
        "vst3" if cfg!(windows) => {
            let folder = if cfg!(target_arch = "aarch64") { "arm64-win" } else { "x86_64-win" };
            to.join("Contents").join(folder).join(format!("{}.vst3", bundle.name))
        }
        "vst3" => {
            to.join(format!("Contents/{}-linux", std::env::consts::ARCH)).join(format!("{}.so", bundle.name))
        }
        other => bail!("bundle.toml: unknown format `{other}`; there are clap and vst3"),
    };
    copy(library, &inside)?;
    Ok(to)
}

fn plist(bundle: &Bundle) -> String {
    let keys = [
        ("CFBundleExecutable", bundle.name.as_str()),
        ("CFBundleIdentifier", &bundle.identifier),
        ("CFBundleName", &bundle.name),
        ("CFBundleDisplayName", &bundle.name),
        ("CFBundlePackageType", "BNDL"),
        ("CFBundleSignature", "????"),
        ("CFBundleShortVersionString", env!("CARGO_PKG_VERSION")),
        ("CFBundleVersion", env!("CARGO_PKG_VERSION")),
    ];
    let body: String =
        keys.iter().map(|(key, value)| format!("  <key>{key}</key><string>{value}</string>\n")).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<plist version=\"1.0\"><dict>\n{body}</dict></plist>\n"
    )
}

// The places for one user that the CLAP and VST3 specifications name.
fn hosts_look(format: &str) -> Result<PathBuf> {
    let home = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .with_context(|| format!("{name} is not set; where to install?"))
    };
    Ok(if cfg!(windows) {
        home("LOCALAPPDATA")?.join("Programs/Common").join(format.to_uppercase())
    } else if cfg!(target_os = "macos") {
        home("HOME")?.join("Library/Audio/Plug-Ins").join(format.to_uppercase())
    } else {
        home("HOME")?.join(format!(".{format}"))
    })
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to.parent().unwrap_or(to))?;
    std::fs::copy(from, to).with_context(|| format!("copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

fn copy_all(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        return copy(from, to);
    }
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        copy_all(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

fn remove(at: &Path) -> Result<()> {
    match at.is_dir() {
        true => std::fs::remove_dir_all(at).with_context(|| at.display().to_string()),
        false if at.exists() => std::fs::remove_file(at).with_context(|| at.display().to_string()),
        false => Ok(()),
    }
}
