//! Quantities such as `100m` and `1Gi`, written in the one way in which Kubernetes writes them.

/// What is said of text that is no quantity.
pub(crate) const WRONG: &str = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];

/// The canonical form; `None` if the text is no quantity.
pub(crate) fn canonical(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '+' | '-')).unwrap_or(text.len());
    let (figures, suffix) = text.split_at(end);
    let (whole, fraction) = figures.split_once('.').unwrap_or((figures, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let scale = i32::try_from(fraction.len()).ok()?;
    if let Some(power) = BINARY.iter().position(|unit| *unit == suffix).filter(|power| *power > 0) {
        let total = digits.checked_mul(1024_i128.checked_pow(u32::try_from(power).ok()?)?)?;
        let value = total.checked_div(10_i128.checked_pow(u32::try_from(scale).ok()?)?)?;
        return Some(binary(value));
    }
    if let Some((_, exponent)) = DECIMAL.iter().find(|(unit, _)| *unit == suffix) {
        return Some(decimal(digits, exponent - scale));
    }
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    let (mut digits, mut exponent) = (digits, exponent - scale);
    while digits != 0 && digits % 10 == 0 {
        (digits, exponent) = (digits / 10, exponent + 1);
    }
    while exponent.rem_euclid(3) != 0 {
        (digits, exponent) = (digits.checked_mul(10)?, exponent - 1);
    }
    Some(if exponent == 0 || digits == 0 { digits.to_string() } else { format!("{digits}e{exponent}") })
}

fn binary(value: i128) -> String {
    if value.abs() < 1024 {
        return decimal(value, 0);
    }
    let (mut value, mut power) = (value, 0);
    while value % 1024 == 0 && power + 1 < BINARY.len() {
        (value, power) = (value / 1024, power + 1);
    }
    format!("{value}{}", BINARY[power])
}

fn decimal(digits: i128, exponent: i32) -> String {
    let (mut digits, mut exponent) = (digits, exponent);
    if digits == 0 {
        return "0".to_owned();
    }
    // Nothing is smaller than a billionth; what is left is rounded up.
    while exponent < -9 {
        (digits, exponent) = (digits.div_euclid(10) + i128::from(digits.rem_euclid(10) != 0), exponent + 1);
    }
    while digits % 10 == 0 && exponent < 18 {
        (digits, exponent) = (digits / 10, exponent + 1);
    }
    while exponent.rem_euclid(3) != 0 || exponent > 18 {
        (digits, exponent) = (digits * 10, exponent - 1);
    }
    let unit = DECIMAL.iter().find(|(_, of)| *of == exponent).map_or("", |(unit, _)| unit);
    format!("{digits}{unit}")
}
