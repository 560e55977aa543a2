//! The small values: what they read, how they print, and that they never panic.

use std::str::FromStr;

use espalier::value::{Cidr, Cron, DayTime, Quantity, Version, VersionPrefix, Window, name};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

fn quantity(text: &str) -> Quantity {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn cidr(text: &str) -> Cidr {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn version(text: &str) -> Version {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn at(text: &str) -> i64 {
    text.parse::<Timestamp>().expect("a timestamp of this test").as_second()
}

fn shown(seconds: Option<i64>) -> String {
    seconds.map_or_else(|| "never".to_owned(), |s| Timestamp::from_second(s).expect("within range").to_string())
}

#[test]
fn quantities_print_canonically() {
    for (text, canonical) in [
        ("0", "0"),
        ("0Gi", "0"),
        ("-0", "0"),
        ("1", "1"),
        ("+1", "1"),
        ("1000m", "1"),
        ("1500m", "1500m"),
        ("1.5", "1500m"),
        ("0.5Gi", "512Mi"),
        ("1024Ki", "1Mi"),
        ("1Gi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("1023", "1023"),
        ("1023Ki", "1023Ki"),
        ("1000Ki", "1000Ki"),
        ("62.5Ki", "64000"),
        ("100000", "100k"),
        ("1e3", "1e3"),
        ("1E3", "1e3"),
        ("1E", "1E"),
        ("12e6", "12e6"),
        ("1e-3", "1e-3"),
        ("100e0", "100"),
        ("0.1Ki", "102400m"),
        ("0.0001Ki", "102400u"),
        (".5", "500m"),
        ("5.", "5"),
        ("1n", "1n"),
        ("0.1n", "1n"),
        ("1.0000000001", "1000000001n"),
        ("-1.5Gi", "-1536Mi"),
        ("-0.1n", "-1n"),
        ("3.0", "3"),
        ("1e-100", "1e-9"),
        ("4096Pi", "4Ei"),
        ("2e1", "20"),
        ("1e4", "10e3"),
    ] {
        let parsed = quantity(text);
        assert_eq!(parsed.to_string(), canonical, "{text}");
        assert_eq!(quantity(canonical), parsed, "{text}");
    }
    for text in
        ["", " ", "1 ", "a", "1.2.3", "1Kb", "1ki", "1K", "--1", "1e", "1e+", "1ee3", "Gi", ".", "-", "1mm", "0x1", "1e3Ki", "١"]
    {
        assert!(Quantity::from_str(text).is_err(), "{text}");
    }
}

#[test]
fn quantities_count() {
    assert_eq!(quantity("1500m").value(), 2);
    assert_eq!(quantity("-1500m").value(), -1);
    assert_eq!(quantity("1500m").milli_value(), 1500);
    assert_eq!((quantity("500m") + quantity("1.5")).to_string(), "2");
    assert_eq!((quantity("1Gi") + quantity("1Gi")).to_string(), "2Gi");
    assert_eq!((Quantity::ZERO + quantity("1Gi")).to_string(), "1Gi");
    assert_eq!((quantity("1") - quantity("2")).to_string(), "-1");
    assert_eq!(quantity("100m").times(15).to_string(), "1500m");
    assert_eq!(quantity("1Gi").percent(50).to_string(), "512Mi");
    assert!(quantity("1Gi") > quantity("1G") && quantity("1k") == quantity("1000"));
    assert_eq!(quantity("1e40"), quantity("1e50"), "beyond counting");
    assert_eq!(
        serde_json::from_value::<Vec<Quantity>>(json!([2, 0.5, "1Ki", -3])).expect("quantities"),
        [quantity("2"), quantity("500m"), quantity("1024"), quantity("-3")]
    );
    assert_eq!(serde_json::to_value(quantity("1000m")).expect("a string"), json!("1"));
    assert!(serde_json::from_value::<Quantity>(json!(true)).is_err());
}

#[test]
fn versions_compare_and_skew() {
    assert!(version("1.34.1") > version("1.34.0") && version("1.34.0") > version("1.34.0-rc.1"));
    assert_eq!(version("1.34.1").skew(&version("1.31.9")), Some(3));
    assert_eq!(version("1.31.9").skew(&version("1.34.1")), Some(-3));
    assert_eq!(version("2.0.0").skew(&version("1.34.1")), None);
    let far = version("1.18446744073709551615.0");
    assert_eq!((far.skew(&version("1.0.0")), version("1.0.0").skew(&far)), (Some(i64::MAX), Some(-i64::MAX)));
    assert!(
        version("1.34.0").at_least("1.34".parse().expect("a prefix"))
            && !version("1.33.9").at_least(VersionPrefix::of_minor(1, 34))
    );
    assert_eq!(version("1.34.1").minor_prefix().to_string(), "1.34");
    for (prefix, matches) in [("1", true), ("1.34", true), ("1.34.1", true), ("1.3", false), ("1.34.2", false), ("2", false)] {
        assert_eq!(prefix.parse::<VersionPrefix>().expect("a prefix").matches(&version("1.34.1")), matches, "{prefix}");
    }
    for text in ["", "1", "1.34", "v1.34.1", "1.34.01", "1.34.1.2", " 1.34.1", "1.x.0"] {
        assert!(Version::from_str(text).is_err(), "{text}");
    }
    for text in ["", ".", "1.", "01", "1.34.1.2", "v1", "1.x", "+1", "99999999999999999999"] {
        assert!(VersionPrefix::from_str(text).is_err(), "{text}");
    }
}

#[test]
fn networks_overlap_split_and_are_found() {
    assert!(cidr("10.0.0.0/8").overlaps(&cidr("10.1.0.0/16")) && cidr("10.1.0.0/16").overlaps(&cidr("10.0.0.0/8")));
    assert!(!cidr("10.0.0.0/16").overlaps(&cidr("10.1.0.0/16")) && !cidr("0.0.0.0/0").overlaps(&cidr("::/0")));
    assert!(cidr("10.0.0.0/8").contains(&cidr("10.1.0.0/16")) && !cidr("10.1.0.0/16").contains(&cidr("10.0.0.0/8")));
    assert_eq!(cidr("100.64.0.0/13").host(10).map(|a| a.to_string()).as_deref(), Some("100.64.0.10"));
    assert_eq!(cidr("10.0.0.0/30").host(4), None);
    assert_eq!(cidr("::/0").host(u128::MAX).map(|a| a.to_string()).as_deref(), Some("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
    assert_eq!((cidr("10.0.0.0/24").size(), cidr("::/0").size(), cidr("::1/128").size()), (256, u128::MAX, 1));
    assert!(!cidr("10.0.0.1/8").is_canonical());
    assert_eq!(cidr("10.0.0.1/8").canonical().to_string(), "10.0.0.0/8");
    let split: Vec<String> = cidr("10.0.0.0/23").split(24).expect("longer").map(|c| c.to_string()).collect();
    assert_eq!(split, ["10.0.0.0/24", "10.0.1.0/24"]);
    assert!(cidr("10.0.0.0/23").split(22).is_none() && cidr("10.0.0.0/23").split(33).is_none());
    let free = |used: &[&str]| {
        let used: Vec<Cidr> = used.iter().map(|c| cidr(c)).collect();
        cidr("10.0.0.0/22").find_free(24, &used).map(|c| c.to_string())
    };
    assert_eq!(free(&[]).as_deref(), Some("10.0.0.0/24"));
    assert_eq!(free(&["10.0.0.0/24", "10.0.2.7/32"]).as_deref(), Some("10.0.1.0/24"));
    assert_eq!(free(&["10.0.0.0/23", "10.0.2.7/32", "fd00::/8"]).as_deref(), Some("10.0.3.0/24"));
    assert_eq!(free(&["10.0.0.0/8"]), None);
    for text in [
        "",
        "10.0.0.0",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/08",
        "10.0.0/8",
        "010.0.0.0/8",
        "::/129",
        "10.0.0.0/-1",
        "10.0.0.0/+8",
        "a/8",
    ] {
        assert!(Cidr::from_str(text).is_err(), "{text}");
    }
}

#[test]
fn windows_wrap_midnight() {
    let window = Window::parse("220000+0100", "230000+0100").expect("a window");
    assert_eq!((window.duration(), window.spans_midnight()), (3600, false));
    assert!(window.contains(at("2026-11-21T21:00:00Z")) && window.contains(at("2026-11-21T22:00:00Z")));
    assert!(!window.contains(at("2026-11-21T20:59:59Z")) && !window.contains(at("2026-11-21T22:00:01Z")));
    assert_eq!(shown(Some(window.next(at("2026-11-21T21:00:00Z")))), "2026-11-22T21:00:00Z");
    assert_eq!(shown(Some(window.next(at("2026-11-21T20:00:00Z")))), "2026-11-21T21:00:00Z");
    assert_eq!(window.effective().to_string(), "220000+0100 to 224500+0100");

    let night = Window::parse("233000+0000", "000500+0000").expect("a window");
    assert!(night.spans_midnight() && night.contains(at("2026-11-21T23:59:00Z")) && night.contains(at("2026-11-22T00:04:00Z")));
    assert!(!night.contains(at("2026-11-22T12:00:00Z")));
    assert_eq!(night.current(at("2026-11-22T00:04:00Z")), Some((at("2026-11-21T23:30:00Z"), at("2026-11-22T00:05:00Z"))));
    assert_eq!(night.effective().end.to_string(), "235000+0000");
    assert_eq!(Window::parse("003000+0200", "013000+0200").expect("a window").begin.seconds(), 22 * 3600 + 1800);
    assert_eq!(serde_json::to_value(night).expect("a map"), json!({"begin": "233000+0000", "end": "000500+0000"}));
    for text in [
        "",
        "220000",
        "220000Z",
        "240000+0000",
        "226000+0000",
        "220000+2400",
        "220000+0060",
        "22000a+0000",
        "220000 0000",
        "２20000+0",
    ] {
        assert!(DayTime::from_str(text).is_err(), "{text}");
    }
}

#[test]
fn schedules_fire_across_changes_of_the_clock() {
    let next = |cron: &str, zone: &str, after: &str| shown(Cron::new(cron, zone).expect("a schedule").next(at(after)));
    assert_eq!(next("0 8 * * 1", "Europe/Berlin", "2026-03-27T12:00:00Z"), "2026-03-30T06:00:00Z");
    assert_eq!(next("0 8 * * MON-FRI", "", "2026-11-20T08:00:00Z"), "2026-11-23T08:00:00Z");
    assert_eq!(next("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z"), "2026-10-25T00:30:00Z");
    assert_eq!(next("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z"), "2026-10-26T01:30:00Z");
    assert_eq!(next("0 0 1,15 * 0", "", "2026-11-02T00:00:00Z"), "2026-11-08T00:00:00Z");
    assert_eq!(next("*/20 * * * *", "UTC", "2026-11-21T10:00:00Z"), "2026-11-21T10:20:00Z");
    assert_eq!(next("10/20 * * * ?", "UTC", "2026-11-21T10:00:00Z"), "2026-11-21T10:10:00Z");
    assert_eq!(next("0 0 30 2 *", "UTC", "2026-11-21T10:00:00Z"), "never");
    let evening = Cron::new("0 17 * * *", "UTC").expect("a schedule");
    assert_eq!(evening.last_in(at("2026-11-21T15:00:00Z"), at("2026-11-21T17:00:00Z")), Some(at("2026-11-21T17:00:00Z")));
    assert_eq!(evening.last_in(at("2026-11-21T17:00:00Z"), at("2026-11-21T19:00:00Z")), None);
    for text in [
        "",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 7",
        "* * L * *",
        "* * * * 1#2",
        "@daily",
        "a * * * *",
        "5-1 * * * *",
        "*/0 * * * *",
        "1,, * * * *",
        "+1 * * * *",
    ] {
        assert!(Cron::new(text, "").is_err(), "{text}");
    }
    assert!(Cron::new("* * * * *", "Mars/Phobos").is_err() && Cron::new("* * * * *", "europe/berlin").is_err());
}

#[test]
fn names_are_judged_as_the_api_server_does() {
    assert!(name::dns1123_label("a-1").is_ok() && name::dns1123_label(&"a".repeat(63)).is_ok());
    for bad in ["", "A", "-a", "a-", "a.b", "a_b", "é"] {
        assert!(name::dns1123_label(bad).expect_err(bad).contains("a lowercase RFC 1123 label must consist of"));
    }
    assert_eq!(name::dns1123_label(&"a".repeat(64)), Err("must be no more than 63 characters".to_owned()));
    assert!(
        name::dns1123_subdomain("a.b-c.1").is_ok()
            && name::dns1123_subdomain("a..b").is_err()
            && name::dns1123_subdomain("").is_err()
    );
    assert!(name::dns1035_label("a1").is_ok() && name::dns1035_label("1a").is_err());
    assert!(name::label_value("").is_ok() && name::label_value("A_b.c-1").is_ok() && name::label_value("_a").is_err());
    assert!(name::qualified_name("example.com/Name_1").is_ok() && name::qualified_name("Name").is_ok());
    assert_eq!(name::qualified_name("/a"), Err("prefix part must be non-empty".to_owned()));
    assert_eq!(name::qualified_name("a/"), Err("name part must be non-empty".to_owned()));
    assert!(name::qualified_name("A/b").expect_err("upper case").starts_with("prefix part a lowercase RFC 1123 subdomain"));
    assert!(name::annotation_key("A/b").is_ok() && name::qualified_name("a/b/c").is_err());
}

proptest! {
    #[test]
    fn any_text_is_judged_without_panic(text in any::<String>(), short in "[0-9+.,*/:?eEinumkKMGTP -]{0,14}", seconds in any::<i64>()) {
        for text in [text.as_str(), short.as_str()] {
            if let Ok(quantity) = text.parse::<Quantity>() {
                prop_assert_eq!(quantity.to_string().parse::<Quantity>().map(|q| q.to_string()), Ok(quantity.to_string()));
            }
            let _version = text.parse::<Version>();
            let _prefix = text.parse::<VersionPrefix>();
            let _cidr = text.parse::<Cidr>();
            let _time = text.parse::<DayTime>();
            if let Ok(cron) = Cron::new(text, "") {
                let _next = cron.next(seconds);
            }
            let _location = Cron::new("* * * * *", text).map(|cron| cron.next(seconds));
            for check in [name::dns1123_label, name::dns1123_subdomain, name::dns1035_label, name::label_value, name::qualified_name, name::annotation_key] {
                let _verdict = check(text);
            }
        }
    }

    #[test]
    fn quantities_are_exact(whole in 0_u64..1_000_000, fraction in "[0-9]{0,11}", suffix in 0_usize..13) {
        let suffixes = [("n", 1, 1_000_000_000), ("u", 1, 1_000_000), ("m", 1, 1000), ("", 1, 1), ("k", 1000, 1), ("M", 1_000_000, 1), ("G", 1_000_000_000, 1),
            ("Ki", 1 << 10, 1), ("Mi", 1 << 20, 1), ("Gi", 1 << 30, 1), ("e2", 100, 1), ("e-2", 1, 100), ("E3", 1000, 1)];
        let (suffix, up, down): (&str, i128, i128) = suffixes[suffix];
        let places = u32::try_from(fraction.len()).expect("short");
        let digits: i128 = format!("{whole}{fraction}").parse().expect("digits");
        let (above, below) = (digits * up * 1_000_000_000, 10_i128.pow(places) * down);
        let expected = above / below + i128::from(above % below != 0);
        let text = format!("{whole}.{fraction}{suffix}");
        let parsed: Quantity = text.parse().expect("a quantity");
        prop_assert_eq!(parsed.nano(), expected, "{}", &text);
        prop_assert_eq!(parsed.to_string().parse::<Quantity>(), Ok(parsed), "{} prints {}", &text, parsed);
        prop_assert_eq!(format!("-{text}").parse::<Quantity>(), Ok(-parsed));
    }

    #[test]
    fn sums_have_no_order(a in any::<i64>(), b in any::<i64>(), c in any::<i64>()) {
        let [a, b, c] = [a, b, c].map(Quantity::millis);
        prop_assert_eq!(a + b, b + a);
        prop_assert_eq!((a + b) + c, a + (b + c));
        prop_assert_eq!(a + b - b, a);
        prop_assert_eq!(a < b, a.nano() < b.nano());
    }

    #[test]
    fn versions_print_what_they_read(major in any::<u64>(), minor in any::<u64>(), patch in any::<u64>()) {
        let version = Version::new(major, minor, patch);
        prop_assert_eq!(version.to_string().parse::<Version>(), Ok(version.clone()));
        prop_assert_eq!(VersionPrefix::from(&version).to_string().parse::<VersionPrefix>(), Ok(VersionPrefix::from(&version)));
        prop_assert!(version.minor_prefix().matches(&version) && version.at_least(version.minor_prefix()));
    }

    #[test]
    fn free_networks_are_free(used in prop::collection::vec((any::<u8>(), 20_u8..=32), 0..8), prefix in 20_u8..=32) {
        let whole = cidr("10.0.0.0/20");
        let used: Vec<Cidr> = used.iter().map(|(n, p)| cidr(&format!("10.0.{}.{}/{p}", n % 16, n))).collect();
        let found = whole.find_free(prefix, &used);
        let first = whole.split(prefix).expect("longer").find(|c| !used.iter().any(|u| u.overlaps(c)));
        prop_assert_eq!(found, first);
    }

    #[test]
    fn a_window_contains_what_follows_its_beginning(begin in 0_i64..86_400, length in 0_i64..86_400, day in -1000_i64..1000, at in 0_i64..86_400, seed in any::<u64>()) {
        let window = Window { begin: DayTime::utc(begin), end: DayTime::utc(begin + length) };
        let at = day * 86_400 + at;
        let next = window.next(at);
        prop_assert!(next > at && next <= at + 86_400 && window.contains(next) && window.contains(next + length));
        prop_assert_eq!(window.contains(at), (at - begin).rem_euclid(86_400) <= length);
        let moment = window.moment(next, seed);
        prop_assert!(window.contains(moment) && moment >= next);
        prop_assert_eq!(window.begin.to_string().parse::<DayTime>(), Ok(window.begin));
    }

    #[test]
    fn schedules_go_forward(minute in 0_u32..60, hour in 0_u32..24, step in 1_u32..7, after in 0_i64..4_000_000_000) {
        for expression in [format!("{minute} {hour} * * *"), format!("*/{step} * * * 1-5"), format!("{minute} */{step} 1 * *")] {
            let cron = Cron::new(&expression, "Europe/Berlin").expect("a schedule");
            let next = cron.next(after).expect("it fires");
            prop_assert!(next > after);
            prop_assert_eq!(cron.last_in(after, next), Some(next));
            prop_assert_eq!(cron.last_in(after, next - 1), None);
        }
    }
}
