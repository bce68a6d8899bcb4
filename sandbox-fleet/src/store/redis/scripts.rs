//! Which scripts does the server run?

use std::sync::LazyLock;

use redis::Script;

macro_rules! script {
    ($file:literal) => {
        LazyLock::new(|| Script::new(concat!(include_str!("common.lua"), "\n", include_str!($file))))
    };
}

pub(super) static PULSE: LazyLock<Script> = script!("pulse.lua");
pub(super) static LEAVE: LazyLock<Script> = script!("leave.lua");
pub(super) static REPORT_TRIP: LazyLock<Script> = script!("report_trip.lua");
pub(super) static TAKE_LEASE: LazyLock<Script> = script!("take_lease.lua");
pub(super) static SETTLE: LazyLock<Script> = script!("settle.lua");
pub(super) static CLAIM: LazyLock<Script> = script!("claim.lua");
pub(super) static PUT_SETTINGS: LazyLock<Script> = script!("put_settings.lua");
pub(super) static REPLICAS: LazyLock<Script> = script!("replicas.lua");
