//! The small values that manifests are made of, parsed once: quantities, versions, networks, maintenance windows, schedules, and
//! the name rules of Kubernetes.
//!
//! Each reads what the API server reads and no more, prints its canonical text, and never panics. Knows no kind and no clock:
//! times are seconds since the epoch, passed in.

mod cidr;
mod cron;
pub mod name;
mod quantity;
mod version;
mod window;

pub use cidr::Cidr;
pub use cron::Cron;
pub use quantity::{Format, Quantity};
pub use version::{Version, VersionPrefix};
pub use window::{DayTime, Window};

/// Serde and schema for a type that is a string in manifests, through its `FromStr` and `Display`.
macro_rules! as_text {
    ($type:ty, $name:literal, $description:literal) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "description": $description })
            }
        }
    };
}
use as_text;
