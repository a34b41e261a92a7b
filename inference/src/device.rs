//! Where a model is computed: on the processor, or on a graphics processor, if there is one and the program was built
//! for it.

use candle_core::{DType, Device};

/// Where, as the player says (`CONTINUO_DEVICE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The graphics processor, if there is one; else the processor.
    Best,
    /// The processor, in this project's own kernels.
    Processor,
    /// The first graphics processor of NVIDIA, in bf16 (feature `cuda`).
    Cuda,
    /// The graphics processor of a Mac, in f16 (feature `metal`).
    Metal,
    /// The processor, in f32 by the way that graphics processors go: to try that way without one.
    Tensors,
}

impl Place {
    /// As the environment says; the best there is, if it says nothing or something unknown.
    pub fn wanted() -> Self {
        let word = std::env::var("CONTINUO_DEVICE").unwrap_or_default();
        match word.to_ascii_lowercase().as_str() {
            "cpu" => Self::Processor,
            "cuda" => Self::Cuda,
            "metal" => Self::Metal,
            "tensors" => Self::Tensors,
            _ => Self::Best,
        }
    }

    /// The device and its numbers; `None` for this project's own kernels. Fails, and says why, where there is no such
    /// device or the program was not built for it.
    pub(crate) fn open(self) -> Result<Option<(Device, DType)>, String> {
        match self {
            Self::Processor => Ok(None),
            Self::Tensors => Ok(Some((Device::Cpu, DType::F32))),
            Self::Cuda => cuda().map(Some),
            Self::Metal => metal().map(Some),
            Self::Best => Ok(cuda().or_else(|_| metal()).ok()),
        }
    }
}

fn cuda() -> Result<(Device, DType), String> {
    if !cfg!(feature = "cuda") {
        return Err("this program was built without the feature `cuda`".into());
    }
    Device::new_cuda(0).map(|device| (device, DType::BF16)).map_err(|error| error.to_string())
}

fn metal() -> Result<(Device, DType), String> {
    if !cfg!(feature = "metal") {
        return Err("this program was built without the feature `metal`".into());
    }
    Device::new_metal(0).map(|device| (device, DType::F16)).map_err(|error| error.to_string())
}
