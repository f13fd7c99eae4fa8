//! What tests of reports share.

use crate::output::Style;
use truechimer_engine::time::Cooked;
use truechimer_engine::wire::command::{Address, TrackingReport};

pub(crate) const HUMAN: Style = Style {
    csv: false,
    wide: false,
};
pub(crate) const CSV: Style = Style { csv: true, ..HUMAN };
pub(crate) const WIDE: Style = Style { wide: true, ..HUMAN };

/// A clock that follows a reference clock, 10 ms fast.
pub(crate) fn tracking() -> TrackingReport {
    TrackingReport {
        ref_id: 0x5050_5300,
        address: Address::Unspecified,
        stratum: 2,
        leap: 0,
        ref_time: Cooked::default(),
        correction: -0.01,
        last_offset: 0.0,
        rms_offset: 0.0,
        frequency: 0.0,
        residual_frequency: 0.0,
        skew: 1.0,
        root_delay: 0.0,
        root_dispersion: 0.0,
        update_interval: 0.0,
    }
}
