//! Models of this machine, loaded once a process: the one that the project names, the one named in `CONTINUO_MODEL`, or
//! the one in the box.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use continuo_inference::device::Place;
use continuo_inference::{Model, Precision, library};

/// By path; who loads one holds its place alone.
static LOADED: Mutex<BTreeMap<String, Arc<Mutex<Weak<Model>>>>> = Mutex::new(BTreeMap::new());

/// A model, and why it is not the one that was wanted, if it is not.
pub struct Loaded {
    /// It; or what is wrong and what to do.
    pub model: Result<Arc<Model>, String>,
    /// What is wrong with the one that was wanted.
    pub instead: Option<String>,
}

/// Loads a model: a path, or a name of [`names`]; nothing means `CONTINUO_MODEL`, or the one in the box. That one also
/// stands in for one that cannot be loaded. It may take seconds.
pub fn load(name: &str) -> Loaded {
    let variable = std::env::var("CONTINUO_MODEL").unwrap_or_default();
    let (wanted, named_in) = match name.trim() {
        "" => (variable.trim(), " (named in CONTINUO_MODEL)"),
        name => (name, ""),
    };
    match shared(wanted) {
        Err(why) if !is_built_in(wanted) => {
            Loaded { model: shared(""), instead: Some(format!("{why}{named_in}")) }
        }
        model => {
            let why = model.as_ref().ok().and_then(|model| model.instead()).map(on_the_processor);
            Loaded { model, instead: why }
        }
    }
}

/// Names of the models on this machine, the one in the box first.
pub fn names() -> Vec<String> {
    let found = library::found().into_iter().map(|one| one.name);
    std::iter::once("default".to_owned()).chain(found).collect()
}

fn on_the_processor(why: &str) -> String {
    format!("computed on the processor: {why}")
}

fn is_built_in(name: &str) -> bool {
    ["", "default"].contains(&name)
}

fn shared(name: &str) -> Result<Arc<Model>, String> {
    let place = if is_built_in(name) { None } else { Some(place(name)?) };
    let key = place.as_ref().map_or_else(String::new, |path| path.display().to_string());
    let slot = Arc::clone(LOADED.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default());
    let mut loaded = slot.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(model) = loaded.upgrade() {
        return Ok(model);
    }
    let model = match place {
        Some(path) => Model::load_as(&path, Precision::On(Place::wanted())),
        None => Model::from_compact(continuo_models::DEFAULT),
    };
    let model = model.map_err(|error| error.to_string())?;
    *loaded = Arc::downgrade(&model);
    Ok(model)
}

fn place(name: &str) -> Result<PathBuf, String> {
    let path = library::resolve(name).filter(|path| Path::new(path).exists());
    path.ok_or_else(|| format!("there is no model {name:?}; `continuo models list` shows what there is"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_told_and_the_one_in_the_box_stands_in() {
        let loaded = load("/nowhere/at all.safetensors");
        assert!(Arc::ptr_eq(&loaded.model.unwrap(), &load("").model.unwrap()));
        assert!(loaded.instead.unwrap().contains("/nowhere/at all.safetensors"));
        assert!(load("default").instead.is_none());
        assert_eq!(names()[0], "default");
    }

    #[test]
    fn a_file_is_loaded_once() {
        let path = std::env::temp_dir().join(format!("continuo-once-{}.safetensors", std::process::id()));
        std::fs::write(&path, continuo_models::DEFAULT).unwrap();
        let name = path.display().to_string();
        let (one, other) = (load(&name).model.unwrap(), load(&name).model.unwrap());
        assert!(Arc::ptr_eq(&one, &other) && !Arc::ptr_eq(&one, &load("").model.unwrap()));
        std::fs::remove_file(path).unwrap();
    }
}
