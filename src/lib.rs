//! The daemon around the engine: everything that touches the machine.

pub mod args;
pub mod check_config;
pub mod clock;
pub mod config_files;
pub mod container;
pub mod daemon;
pub mod files;
pub mod logs;
pub mod net;
pub mod privilege;
pub mod sys;
