//! `resource.Quantity`: amounts such as `500m`, `2Gi`, `1e3`.
//!
//! The grammar, the rounding (away from zero, to a billionth) and the canonical text are the API server's: an amount keeps the
//! family of suffixes it was written with as long as that loses nothing.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::iter::Sum;
use std::ops::{Add, Neg, Sub};
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const NANO: i128 = 1_000_000_000;

/// The suffixes that an amount is printed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `m`, `k`, `M`: powers of a thousand.
    #[default]
    Decimal,
    /// `Ki`, `Mi`, `Gi`: powers of 1024.
    Binary,
    /// `e3`, `e6`.
    Exponent,
}

/// An exact amount in billionths. Equality, order and hash are those of the amount, whatever its format.
///
/// Arithmetic saturates at about 1.7 · 10²⁹, far beyond anything that Kubernetes can count.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quantity {
    nano: i128,
    format: Format,
}

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self { nano: 0, format: Format::Decimal };

    /// A whole number of units.
    #[must_use]
    pub fn units(units: i64) -> Self {
        Self { nano: i128::from(units) * NANO, format: Format::Decimal }
    }

    /// A whole number of units, printed with binary suffixes.
    #[must_use]
    pub fn bytes(bytes: i64) -> Self {
        Self { nano: i128::from(bytes) * NANO, format: Format::Binary }
    }

    /// A whole number of thousandths.
    #[must_use]
    pub fn millis(millis: i64) -> Self {
        Self { nano: i128::from(millis) * (NANO / 1000), format: Format::Decimal }
    }

    /// The amount in billionths.
    #[must_use]
    pub fn nano(self) -> i128 {
        self.nano
    }

    /// The amount in thousandths, rounded up, within the bounds of `i64`.
    #[must_use]
    pub fn milli_value(self) -> i64 {
        saturate(ceil_div(self.nano, NANO / 1000))
    }

    /// The amount in units, rounded up, within the bounds of `i64`.
    #[must_use]
    pub fn value(self) -> i64 {
        saturate(ceil_div(self.nano, NANO))
    }

    /// The suffixes it is printed with.
    #[must_use]
    pub fn format(self) -> Format {
        self.format
    }

    /// Whether it is nothing.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.nano == 0
    }

    /// Whether it is less than nothing.
    #[must_use]
    pub fn is_negative(self) -> bool {
        self.nano < 0
    }

    /// Whether it is a whole number of units.
    #[must_use]
    pub fn is_whole(self) -> bool {
        self.nano % NANO == 0
    }

    /// The amount taken a number of times.
    #[must_use]
    pub fn times(self, factor: i64) -> Self {
        Self { nano: self.nano.saturating_mul(i128::from(factor)), format: self.format }
    }

    /// A share of the amount in percent, rounded away from zero to a billionth.
    #[must_use]
    pub fn percent(self, percent: u32) -> Self {
        let whole = self.nano.saturating_mul(i128::from(percent));
        Self { nano: round_away(whole, 100), format: self.format }
    }
}

fn saturate(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

fn ceil_div(value: i128, by: i128) -> i128 {
    value.div_euclid(by) + i128::from(value.rem_euclid(by) != 0)
}

fn round_away(value: i128, by: i128) -> i128 {
    value / by + if value % by == 0 { 0 } else { value.signum() }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nano == other.nano
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nano.cmp(&other.nano)
    }
}

impl Hash for Quantity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.nano.hash(state);
    }
}

impl Add for Quantity {
    type Output = Self;

    /// A sum is printed like its first term that is not zero.
    fn add(self, other: Self) -> Self {
        let format = if self.is_zero() { other.format } else { self.format };
        Self { nano: self.nano.saturating_add(other.nano), format }
    }
}

impl Sub for Quantity {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        let format = if self.is_zero() { other.format } else { self.format };
        Self { nano: self.nano.saturating_sub(other.nano), format }
    }
}

impl Neg for Quantity {
    type Output = Self;

    fn neg(self) -> Self {
        Self { nano: self.nano.saturating_neg(), format: self.format }
    }
}

impl Sum for Quantity {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
        const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
        if self.nano == 0 {
            return f.write_str("0");
        }
        // Below 1024 and between whole numbers there is nothing that a binary suffix could say exactly.
        if self.format == Format::Binary && self.nano % NANO == 0 && (self.nano / NANO).unsigned_abs() >= 1024 {
            let mut mantissa = self.nano / NANO;
            let mut power = 0;
            while mantissa % 1024 == 0 && power + 1 < BINARY.len() {
                mantissa /= 1024;
                power += 1;
            }
            return write!(f, "{mantissa}{}", BINARY[power]);
        }
        let mut mantissa = self.nano;
        let mut power = 0;
        while mantissa % 1000 == 0 && power + 1 < DECIMAL.len() {
            mantissa /= 1000;
            power += 1;
        }
        match (self.format, power) {
            (Format::Exponent, 3) => write!(f, "{mantissa}"),
            (Format::Exponent, 0..3) => write!(f, "{mantissa}e-{}", (3 - power) * 3),
            (Format::Exponent, _) => write!(f, "{mantissa}e{}", (power - 3) * 3),
            (Format::Decimal | Format::Binary, _) => write!(f, "{mantissa}{}", DECIMAL[power]),
        }
    }
}

impl FromStr for Quantity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const SHAPE: &str = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
        let (negative, unsigned) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let number_end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(number_end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(SHAPE.to_owned());
        }
        let (format, scale) = scale(suffix).ok_or_else(|| "unable to parse quantity's suffix".to_owned())?;
        let nano = magnitude(whole, fraction, scale);
        // A fraction of a unit has no binary spelling.
        let format = if format == Format::Binary && nano < NANO { Format::Decimal } else { format };
        Ok(Self { nano: if negative { -nano } else { nano }, format })
    }
}

/// What a suffix multiplies by.
enum Scale {
    Ten(i64),
    Two(u32),
}

fn scale(suffix: &str) -> Option<(Format, Scale)> {
    let decimal = |power| Some((Format::Decimal, Scale::Ten(power)));
    let binary = |power| Some((Format::Binary, Scale::Two(power)));
    match suffix {
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "" => decimal(0),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(10),
        "Mi" => binary(20),
        "Gi" => binary(30),
        "Ti" => binary(40),
        "Pi" => binary(50),
        "Ei" => binary(60),
        _ => {
            let digits = suffix.strip_prefix(['e', 'E'])?;
            let bare = digits.strip_prefix(['+', '-']).unwrap_or(digits);
            if bare.is_empty() || !bare.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            Some((Format::Exponent, Scale::Ten(i64::from(digits.parse::<i32>().ok()?))))
        }
    }
}

/// `whole.fraction` times its scale in billionths, rounded up, at most `i128::MAX`.
fn magnitude(whole: &str, fraction: &str, scale: Scale) -> i128 {
    let (power, factor) = match scale {
        Scale::Ten(power) => (power, 1),
        Scale::Two(power) => (0, 1_i128 << power),
    };
    let digits = [whole, fraction].concat();
    if digits.bytes().all(|b| b == b'0') {
        return 0;
    }
    // Powers of ten move the point; then there is a number of units, and a part of one.
    let length = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let point = i64::try_from(whole.len()).unwrap_or(i64::MAX).saturating_add(power);
    let missing = point.saturating_sub(length);
    if missing > 40 {
        return i128::MAX;
    }
    if point < -9 {
        return 1;
    }
    let zeros = |n: i64| "0".repeat(usize::try_from(n).unwrap_or(0));
    let (units, part) = match usize::try_from(point) {
        Ok(point) if point <= digits.len() => (digits[..point].to_owned(), digits[point..].to_owned()),
        Ok(_) => (digits + &zeros(missing), String::new()),
        Err(_) => (String::new(), zeros(-point) + &digits),
    };
    let each = factor * NANO;
    let units = units.trim_start_matches('0');
    let units = if units.is_empty() { Some(0) } else { units.parse::<i128>().ok() };
    // From the last digit to the first, what is less than one is only remembered as being there: the result is rounded up.
    let (mut rest, mut more) = (0, false);
    for digit in part.bytes().rev() {
        let sum = rest + i128::from(digit - b'0') * each;
        more |= sum % 10 != 0;
        rest = sum / 10;
    }
    units.and_then(|n| n.checked_mul(each)).and_then(|n| n.checked_add(rest + i128::from(more))).unwrap_or(i128::MAX)
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Amount;

        impl Visitor<'_> for Amount {
            type Value = Quantity;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a quantity such as \"500m\" or 2")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Quantity, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Quantity, E> {
                Ok(Quantity::units(number))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Quantity, E> {
                Ok(Quantity { nano: i128::from(number) * NANO, format: Format::Decimal })
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Quantity, E> {
                number.to_string().parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Amount)
    }
}

impl schemars::JsonSchema for Quantity {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "anyOf": [{ "type": "integer" }, { "type": "number" }, { "type": "string" }],
            "description": "An amount: a number with an optional suffix, such as 500m, 2Gi or 1e3.",
            "x-kubernetes-int-or-string": true,
            "pattern": r"^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"
        })
    }
}
