//! The drift file (`spec/sync.md` 5.13, `spec/files-and-security.md` 3.1).

use crate::files;
use crate::logs;
use truechimer_engine::text::Fixed;

/// Contents of the drift file; `None` if it can't be opened, which is not worth a message. What opens but can't be
/// read (a directory) is like an empty file. Two numbers need no more than the first 4096 bytes.
#[must_use]
pub fn read_drift(path: &str) -> Option<String> {
    let bytes = files::read_start(path, 4096).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Replaces the drift file. Errors are logged.
pub fn write_drift(path: &str, frequency: f64, skew: f64) {
    if let Err(error) = files::replace(path, 0o644, drift_line(frequency, skew).as_bytes()) {
        logs::error(error);
    }
}

fn drift_line(frequency: f64, skew: f64) -> String {
    format!("{:>20} {:>20}\n", Fixed(frequency, 6), Fixed(skew, 6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_chronys() {
        assert_eq!(
            drift_line(2.553_938, 0.021_14),
            "            2.553938             0.021140\n"
        );
        assert_eq!(
            drift_line(-0.0434, 1e6),
            "           -0.043400       1000000.000000\n"
        );
    }

    #[test]
    fn written_and_read_back() {
        let path = std::env::temp_dir().join(format!("truechimer-drift-{}", std::process::id()));
        let path = path.to_str().unwrap();
        write_drift(path, 1.5, 0.25);
        assert_eq!(read_drift(path), Some(drift_line(1.5, 0.25)));
        std::fs::remove_file(path).unwrap();
        assert_eq!(read_drift(path), None);
        std::fs::create_dir(path).unwrap();
        assert_eq!(read_drift(path).as_deref(), Some(""));
        std::fs::remove_dir(path).unwrap();
    }
}
