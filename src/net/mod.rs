//! Sockets and names.

mod command;
mod departures;
mod hardware;
mod helper;
mod inherited;
mod looped;
mod ntp;
mod options;
mod pace;
mod resolver;
mod responder;
mod signer;
mod watch;
mod workers;

pub use command::{CommandSockets, CommandSpec};
pub use departures::{Departure, Departures};
pub use hardware::{Frames, Hardware, NotEnabled};
pub use helper::Answer;
pub use inherited::Inherited;
pub use ntp::{Arrival, NtpSockets, Serving};
pub use options::Settings;
pub use pace::Pace;
pub use resolver::Resolver;
pub use responder::Responder;
pub use signer::{Signed, Signer};
pub use watch::{Key, Wake, WakeQueue, Wakes};
pub use workers::{Forwarded, Inquiry, Pool, Publication, steer_group};
