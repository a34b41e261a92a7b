//! Whole numbers, also where a language writes them as `8.0`; and defaults, also where it writes them as `null`.

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Number;

fn whole<T: TryFrom<i128>, E: Error>(number: &Number) -> Result<T, E> {
    let value = number.as_i128().or_else(|| number.as_f64().and_then(exact));
    let fits = value.and_then(|value| T::try_from(value).ok());
    fits.ok_or_else(|| E::custom(format!("{number} is not a whole number that fits here")))
}

/// Of floating-point numbers only those that stand for themselves.
#[allow(clippy::cast_possible_truncation)] // within 2^53
fn exact(number: f64) -> Option<i128> {
    (number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0).then_some(number as i128)
}

/// One that may be absent.
pub fn option<'de, D: Deserializer<'de>, T: TryFrom<i128>>(reader: D) -> Result<Option<T>, D::Error> {
    Option::<Number>::deserialize(reader)?.map(|number| whole(&number)).transpose()
}

/// A value, or its default where there is `null`.
pub fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    reader: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(reader)?.unwrap_or_default())
}

/// Several that may be absent.
pub fn list<'de, D: Deserializer<'de>, T: TryFrom<i128>>(reader: D) -> Result<Option<Vec<T>>, D::Error> {
    let numbers = Option::<Vec<Number>>::deserialize(reader)?;
    numbers.map(|numbers| numbers.iter().map(whole).collect()).transpose()
}

#[cfg(test)]
mod tests {
    use crate::wire::Predict;

    #[test]
    fn whole_numbers_may_have_a_point() {
        let read = |text: &str| serde_json::from_str::<Predict>(text);
        let some =
            read(r#"{"seed": 18446744073709551615, "max_tokens": 60.0, "instruments": [0, 1.0]}"#).unwrap();
        assert_eq!((some.seed, some.max_tokens), (Some(u64::MAX), Some(60)));
        assert_eq!(some.instruments, Some(vec![0, 1]));
        assert_eq!(read(r#"{"seed": null, "task": null}"#).unwrap(), Predict::default());
        for wrong in
            [r#"{"max_tokens": 1.5}"#, r#"{"seed": -1}"#, r#"{"instruments": [256]}"#, r#"{"seed": "1"}"#]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
