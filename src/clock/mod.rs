//! The clocks behind the engine's trait `Clock`, and the files about them.

mod drift;
mod kernel;
mod none;
mod precision;
mod sequence;
mod system;
mod temperature;

pub use drift::{read_drift, write_drift};
pub use kernel::{Adjust, KernelClock, StartError, System};
pub use none::NullClock;
pub use precision::measure_precision;
pub use sequence::Sequence;
pub use system::SystemClock;
pub use temperature::read_temperature;
