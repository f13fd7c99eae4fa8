//! Simulated worlds for the truechimer engine: nodes with imperfect oscillators, links with delay, jitter and
//! loss, and the unchanged engine on every node. Everything is seeded: the same world gives the same bits.

mod ask;
mod clock;
mod link;
mod node;
mod oscillator;
mod random;
mod world;

pub mod cost;
pub mod measure;
pub mod reference;
pub mod scenario;

pub use clock::SimClock;
pub use link::{Jitter, Link};
pub use node::{Launch, NodeId, NodeSpec, WorldError};
pub use oscillator::{Oscillator, Temperature};
pub use random::Draw;
pub use world::{Stray, World};
