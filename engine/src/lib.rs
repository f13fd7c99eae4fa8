//! The brain of truechimer: everything between a datagram, a configuration file or a command and a decision
//! about the clock. It has no socket, file, thread or clock call: `now`, bytes and randomness come in, what
//! to do comes out (see [`io`]). The daemon, the simulator and the tests are three drivers of the same engine.
//!
//! Arrows point down: `engine` -> `command`, `server`, `source` -> `auth`, `sync` -> `config` ->
//! `wire`, `event` -> `time`, `text`.

pub mod auth;
pub mod command;
pub mod config;
pub mod engine;
pub mod event;
pub mod io;
pub mod random;
pub mod server;
pub mod source;
pub mod sync;
pub mod text;
pub mod time;
pub mod wire;
