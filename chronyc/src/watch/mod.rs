//! What `watch` needs beside the reports: the screen of a terminal, and pages to draw on it.

mod page;
mod plot;
mod screen;

pub(crate) use page::{Page, lines};
pub(crate) use screen::{Event, Screen};
