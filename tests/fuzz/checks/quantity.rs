//! Amounts: read or refused; what is written is read back as the same amount.
use espalier::value::Quantity;

pub(super) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(one) = text.parse::<Quantity>() else { return };
    let again: Quantity = one.to_string().parse().expect("what is written can be read");
    assert_eq!(again.nano(), one.nano(), "{text} became {one}");
    // `62.5Ki` is written as `64000`, which by itself is written as `64k`: as Kubernetes does it. It ends there.
    let twice: Quantity = again.to_string().parse().expect("what is written can be read");
    assert_eq!(twice.to_string(), again.to_string(), "{text} has no last form");
    let sum = one + again;
    assert_eq!(sum >= one, !one.is_negative(), "{text} and {text} make {sum}");
    let _ = (one.value(), one.milli_value(), one.is_whole(), one.times(3), one.percent(50));
}
