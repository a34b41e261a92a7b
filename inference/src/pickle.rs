//! `pytorch_model.bin`: a zip archive with a pickle that names tensors. A pickle is a program; this reader
//! knows the few words that a dictionary of tensors needs, refuses every other, and never calls anything.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use safetensors::Dtype;

use crate::checkpoint::View;
use crate::zip;

/// What stands on the stack.
#[derive(Clone)]
enum Value {
    Nothing,
    Mark,
    Int(i64),
    Text(Rc<str>),
    Global(&'static str),
    Tuple(Rc<[Value]>),
    Dict(Rc<RefCell<Vec<(Value, Value)>>>),
    Storage(Rc<str>, Dtype),
    Tensor(Rc<Tensor>),
}

/// A part of a storage.
struct Tensor {
    storage: Rc<str>,
    dtype: Dtype,
    /// First element in the storage.
    first: usize,
    shape: Vec<usize>,
}

/// Tuples and dictionaries that one file may make: it keeps them from being nested beyond all depth. A
/// checkpoint has four for each tensor.
const MOST_CONTAINERS: u32 = 8_000;

/// Sides that a tensor may have: a GPT-2 has at most 4.
const MOST_SIDES: usize = 8;

/// What a checkpoint may name.
const KNOWN: &[&str] = &[
    "collections.OrderedDict",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter",
    "torch.FloatStorage",
    "torch.HalfStorage",
    "torch.BFloat16Storage",
    "torch.LongStorage",
    "torch.ByteStorage",
    "torch.BoolStorage",
];

/// The tensors of an archive, in place.
pub fn tensors(bytes: &[u8]) -> Result<BTreeMap<String, View<'_>>, String> {
    let entries = zip::entries(bytes)?;
    let (path, program) = entries
        .iter()
        .find(|(path, _)| path.ends_with("data.pkl"))
        .ok_or("has no data.pkl: it is no checkpoint")?;
    let folder = path.trim_end_matches("data.pkl");
    let Value::Dict(dict) = Machine::new(program).run()? else {
        return Err("does not hold a dictionary of tensors".into());
    };
    let mut tensors = BTreeMap::new();
    for (name, value) in dict.borrow().iter() {
        let (Value::Text(name), Value::Tensor(tensor)) = (name, value) else { continue };
        let storage = entries.get(&format!("{folder}data/{}", tensor.storage));
        let view = storage.and_then(|data| tensor.view(data));
        tensors.insert(name.to_string(), view.ok_or_else(|| format!("lacks data of tensor {name}"))?);
    }
    Ok(tensors)
}

impl Tensor {
    fn view<'a>(&self, storage: &'a [u8]) -> Option<View<'a>> {
        let size = self.dtype.bitsize() / 8;
        let count = self.shape.iter().try_fold(1_usize, |product, side| product.checked_mul(*side))?;
        let from = self.first.checked_mul(size)?;
        let data = storage.get(from..from.checked_add(count.checked_mul(size)?)?)?;
        Some(View { dtype: self.dtype, shape: self.shape.clone(), data })
    }
}

struct Machine<'a> {
    program: &'a [u8],
    stack: Vec<Value>,
    memo: HashMap<usize, Value>,
    containers: u32,
}

impl<'a> Machine<'a> {
    fn new(program: &'a [u8]) -> Self {
        Self { program, stack: Vec::new(), memo: HashMap::new(), containers: 0 }
    }

    fn run(mut self) -> Result<Value, String> {
        loop {
            let word = self.bytes(1)?[0];
            self.containers += u32::from(matches!(word, b'}' | b'R' | b't' | 0x85..=0x87));
            if self.containers > MOST_CONTAINERS {
                return Err(format!("makes more than {MOST_CONTAINERS} lists, which no checkpoint needs"));
            }
            match word {
                b'.' => return self.pop(),
                0x80 => drop(self.bytes(1)?),
                0x95 => drop(self.bytes(8)?),
                b'c' => self.global()?,
                b'q' | b'r' | 0x94 => self.remember(word)?,
                b'h' | b'j' => self.recall(word)?,
                b'R' => self.reduce()?,
                // The state of a dictionary (_metadata) says nothing about tensors.
                b'b' => drop(self.pop()?),
                b'Q' => self.storage()?,
                b's' | b'u' => self.set(word)?,
                b't' | 0x85..=0x87 => self.tuple(word)?,
                _ => {
                    let value = self.constant(word)?;
                    self.stack.push(value);
                }
            }
        }
    }

    fn constant(&mut self, word: u8) -> Result<Value, String> {
        Ok(match word {
            b'(' => Value::Mark,
            b'N' => Value::Nothing,
            0x88 | 0x89 => Value::Int(i64::from(word == 0x88)),
            b')' => Value::Tuple(Rc::new([])),
            b'}' => Value::Dict(Rc::default()),
            b'J' => Value::Int(i32::from_le_bytes(self.bytes(4)?.try_into().map_err(|_| cut())?).into()),
            b'K' => Value::Int(self.number(1)?),
            b'M' => Value::Int(self.number(2)?),
            0x8a => {
                let size = self.bytes(1)?[0];
                Value::Int(self.number(usize::from(size))?)
            }
            b'X' | 0x8c => {
                let size = self.number(if word == b'X' { 4 } else { 1 })?;
                let text = self.bytes(usize::try_from(size).map_err(|_| cut())?)?;
                Value::Text(String::from_utf8_lossy(text).into())
            }
            _ => {
                return Err(format!(
                    "holds the pickle word {word:#04x}, which no checkpoint needs; it was not run"
                ));
            }
        })
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.program.split_at_checked(count).ok_or_else(cut)?;
        self.program = rest;
        Ok(taken)
    }

    /// A number without sign, lowest byte first.
    fn number(&mut self, size: usize) -> Result<i64, String> {
        let bytes = self.bytes(size)?;
        if size > 7 {
            return Err("holds a number beyond all sizes".into());
        }
        Ok(bytes.iter().rev().fold(0, |sum, byte| sum << 8 | i64::from(*byte)))
    }

    fn pop(&mut self) -> Result<Value, String> {
        self.stack.pop().ok_or_else(cut)
    }

    /// All above the newest mark, which goes too.
    fn above_mark(&mut self) -> Result<Vec<Value>, String> {
        let mark = self.stack.iter().rposition(|value| matches!(value, Value::Mark)).ok_or_else(cut)?;
        let above = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(above)
    }

    fn global(&mut self) -> Result<(), String> {
        let mut line = || {
            let end = self.program.iter().position(|byte| *byte == b'\n').ok_or_else(cut)?;
            let line = String::from_utf8_lossy(&self.program[..end]).into_owned();
            self.program = &self.program[end + 1..];
            Ok::<_, String>(line)
        };
        let name = format!("{}.{}", line()?, line()?);
        let known = KNOWN.iter().find(|known| **known == name).ok_or_else(|| {
            format!("wants to load {name:?}, which no checkpoint needs; it was not run: do not use this file")
        })?;
        self.stack.push(Value::Global(known));
        Ok(())
    }

    fn remember(&mut self, word: u8) -> Result<(), String> {
        let at = if word == 0x94 { self.memo.len() } else { self.place(word == b'q')? };
        let value = self.stack.last().ok_or_else(cut)?.clone();
        self.memo.insert(at, value);
        Ok(())
    }

    fn recall(&mut self, word: u8) -> Result<(), String> {
        let at = self.place(word == b'h')?;
        self.stack.push(self.memo.get(&at).ok_or_else(cut)?.clone());
        Ok(())
    }

    fn place(&mut self, short: bool) -> Result<usize, String> {
        usize::try_from(self.number(if short { 1 } else { 4 })?).map_err(|_| cut())
    }

    fn tuple(&mut self, word: u8) -> Result<(), String> {
        let values = if word == b't' {
            self.above_mark()?
        } else {
            let from = self.stack.len().checked_sub(usize::from(word - 0x84)).ok_or_else(cut)?;
            self.stack.split_off(from)
        };
        self.stack.push(Value::Tuple(values.into()));
        Ok(())
    }

    fn set(&mut self, word: u8) -> Result<(), String> {
        let values = if word == b'u' {
            self.above_mark()?
        } else {
            let from = self.stack.len().checked_sub(2).ok_or_else(cut)?;
            self.stack.split_off(from)
        };
        let Some(Value::Dict(dict)) = self.stack.last() else { return Err(cut()) };
        let pairs = values.as_chunks::<2>().0.iter().map(|[key, value]| (key.clone(), value.clone()));
        dict.borrow_mut().extend(pairs);
        Ok(())
    }

    /// `("storage", type, name, device, count)`.
    fn storage(&mut self) -> Result<(), String> {
        let Value::Tuple(id) = self.pop()? else { return Err(cut()) };
        let [_, Value::Global(kind), Value::Text(name), ..] = &*id else { return Err(cut()) };
        let dtype = match *kind {
            "torch.FloatStorage" => Dtype::F32,
            "torch.HalfStorage" => Dtype::F16,
            "torch.BFloat16Storage" => Dtype::BF16,
            "torch.LongStorage" => Dtype::I64,
            "torch.ByteStorage" | "torch.BoolStorage" => Dtype::U8,
            other => return Err(format!("has a storage of type {other}")),
        };
        self.stack.push(Value::Storage(Rc::clone(name), dtype));
        Ok(())
    }

    /// The three calls that a checkpoint makes, done by what they mean.
    fn reduce(&mut self) -> Result<(), String> {
        let (Value::Tuple(arguments), Value::Global(what)) = (self.pop()?, self.pop()?) else {
            return Err(cut());
        };
        let value = match (what, &*arguments) {
            ("collections.OrderedDict", _) => Value::Dict(Rc::default()),
            ("torch._utils._rebuild_parameter", [tensor, ..]) => tensor.clone(),
            (
                "torch._utils._rebuild_tensor_v2",
                [
                    Value::Storage(name, dtype),
                    Value::Int(first),
                    Value::Tuple(shape),
                    Value::Tuple(strides),
                    ..,
                ],
            ) => Value::Tensor(Rc::new(tensor(name, *dtype, *first, (&sizes(shape)?, &sizes(strides)?))?)),
            _ => return Err(format!("calls {what} with arguments that no checkpoint has; it was not run")),
        };
        self.stack.push(value);
        Ok(())
    }
}

fn tensor(
    name: &Rc<str>,
    dtype: Dtype,
    first: i64,
    (shape, strides): (&[usize], &[usize]),
) -> Result<Tensor, String> {
    if shape.len() > MOST_SIDES {
        return Err(format!("holds a tensor of {} sides, and {MOST_SIDES} are the most", shape.len()));
    }
    if shape.len() != strides.len() {
        return Err(cut());
    }
    let mut stride = 1_usize;
    for (side, theirs) in shape.iter().zip(strides).rev() {
        if *side != 1 && *theirs != stride {
            return Err("holds a tensor that is not stored row by row: save it again as safetensors".into());
        }
        stride = stride.saturating_mul(*side);
    }
    let first = usize::try_from(first).map_err(|_| cut())?;
    Ok(Tensor { storage: Rc::clone(name), dtype, first, shape: shape.to_vec() })
}

fn sizes(values: &[Value]) -> Result<Vec<usize>, String> {
    let size = |value: &Value| match value {
        Value::Int(size) => usize::try_from(*size).map_err(|_| cut()),
        _ => Err(cut()),
    };
    values.iter().map(size).collect()
}

fn cut() -> String {
    "holds a pickle that is damaged or no checkpoint: fetch it again".into()
}
