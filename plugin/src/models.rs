//! Which model answers: the one named in `CONTINUO_MODEL`, else the one in the box. Loaded once a process.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use continuo_inference::{Model, Precision};

static LOADED: Mutex<Weak<Model>> = Mutex::new(Weak::new());

/// The model, or what is wrong and what to do.
pub fn default_model() -> Result<Arc<Model>, String> {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(model) = loaded.upgrade() {
        return Ok(model);
    }
    let model = match std::env::var_os("CONTINUO_MODEL").filter(|path| !path.is_empty()) {
        Some(path) => {
            let model = Model::load_as(&PathBuf::from(path), Precision::Quick);
            model.map_err(|error| format!("{error} (named in CONTINUO_MODEL)"))?
        }
        None => Model::from_compact(continuo_models::DEFAULT).map_err(|error| error.to_string())?,
    };
    *loaded = Arc::downgrade(&model);
    Ok(model)
}
