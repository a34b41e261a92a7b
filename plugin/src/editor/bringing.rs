//! A MIDI file that becomes a take: chosen from folders, or its path typed in.

use std::path::{Path, PathBuf};

use egui::{Key, RichText, ScrollArea, TextEdit, Ui, Window};

use super::{QUIET, WRONG};
use crate::state::TakeStore;

/// The window.
pub struct BringWindow {
    open: bool,
    folder: PathBuf,
    typed: String,
    /// Folders, then MIDI files of the folder.
    entries: Vec<PathBuf>,
    wrong: String,
}

impl Default for BringWindow {
    fn default() -> Self {
        let home = std::env::var_os("HOME").or_else(|| std::env::var_os("USERPROFILE"));
        let folder = home.map_or_else(|| PathBuf::from("/"), PathBuf::from);
        Self { open: false, folder, typed: String::new(), entries: Vec::new(), wrong: String::new() }
    }
}

impl BringWindow {
    /// Opens or closes it.
    pub fn toggle(&mut self) {
        self.open = !self.open;
        if self.open {
            self.go(self.folder.clone());
        }
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Draws it; whether a file was chosen.
    pub fn draw(&mut self, ui: &Ui, takes: &TakeStore) -> bool {
        let (mut open, mut file) = (self.open, None);
        Window::new("Bring in a MIDI file").open(&mut open).collapsible(false).default_width(460.0).show(
            ui.ctx(),
            |ui| {
                let words = "It becomes the newest take, from the first beat of the song on; its tempo is the song's.";
                ui.label(RichText::new(words).color(QUIET));
                ui.horizontal(|ui| {
                    let line = ui.add(TextEdit::singleline(&mut self.typed).desired_width(360.0));
                    let entered = line.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
                    if ui.button("Take").clicked() || entered {
                        file = self.enter(PathBuf::from(self.typed.trim()));
                    }
                });
                if !self.wrong.is_empty() {
                    ui.label(RichText::new(&self.wrong).color(WRONG));
                }
                file = self.list(ui).or(file.take());
            },
        );
        self.open = open && file.is_none();
        file.map(|file| takes.want(file)).is_some()
    }

    fn list(&mut self, ui: &mut Ui) -> Option<PathBuf> {
        let mut clicked = None;
        ScrollArea::vertical().max_height(240.0).auto_shrink([false, true]).show(ui, |ui| {
            let above = self.folder.parent().map(Path::to_path_buf);
            if above.is_some() && ui.selectable_label(false, "..").clicked() {
                clicked = above;
            }
            for entry in &self.entries {
                if ui.selectable_label(false, words(entry)).clicked() {
                    clicked = Some(entry.clone());
                }
            }
        });
        clicked.and_then(|path| self.enter(path))
    }

    /// A folder is gone into; a file is what was looked for.
    fn enter(&mut self, path: PathBuf) -> Option<PathBuf> {
        if path.is_dir() {
            self.go(path);
            return None;
        }
        self.wrong.clear();
        let there = path.is_file();
        if !there {
            self.wrong = format!("There is no file {}.", path.display());
        }
        there.then_some(path)
    }

    fn go(&mut self, folder: PathBuf) {
        self.wrong.clear();
        match entries(&folder) {
            Ok(entries) => {
                self.typed = folder.display().to_string();
                (self.folder, self.entries) = (folder, entries);
            }
            Err(error) => self.wrong = format!("{}: {error}", folder.display()),
        }
    }
}

fn words(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if path.is_dir() { format!("{name}/") } else { name }
}

/// Folders, then MIDI files, each in order of name; none that are hidden.
fn entries(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let midi = |path: &Path| {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        ["mid", "midi", "smf"].contains(&extension.as_str())
    };
    let hidden = |path: &Path| path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
    let all = std::fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    let mut all: Vec<PathBuf> = all.filter(|path| !hidden(path) && (path.is_dir() || midi(path))).collect();
    all.sort_by_key(|path| (!path.is_dir(), path.clone()));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_first_and_only_music_is_shown() {
        let folder = std::env::temp_dir().join(format!("continuo-bringing-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("songs")).unwrap();
        for name in ["b.mid", "A.MIDI", "notes.txt", ".hidden.mid"] {
            std::fs::write(folder.join(name), "").unwrap();
        }
        let shown: Vec<String> = entries(&folder).unwrap().iter().map(|path| words(path)).collect();
        assert_eq!(shown, ["songs/", "A.MIDI", "b.mid"]);
        let mut window = BringWindow::default();
        assert_eq!(window.enter(folder.clone()), None);
        assert_eq!(window.enter(folder.join("b.mid")), Some(folder.join("b.mid")));
        assert_eq!(window.enter(folder.join("c.mid")), None);
        assert!(window.wrong.contains("c.mid"));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
