//! The image: built with podman from `Containerfile`, then run in every way that README.md and the examples show, and
//! in those in which well-known images of chrony are used. Needs no registry. The variable `IMAGE` names a finished
//! image to be tested instead.

mod contents;
mod deploy;
mod engine;
mod used_as_others;
mod ways;
