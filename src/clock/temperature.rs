//! Thermometers that are files, as sysfs has them (`spec/files-and-security.md` 3.7).

use crate::files;
use truechimer_engine::config::leading_number;

/// The number with which a file begins; `None` if it can't be read. A number needs no more than the first 4096
/// bytes.
#[must_use]
pub fn read_temperature(path: &str) -> Option<f64> {
    let bytes = files::read_start(path, 4096).ok()?;
    leading_number(&String::from_utf8_lossy(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_counts() {
        let path = std::env::temp_dir().join(format!("truechimer-sensor-{}", std::process::id()));
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read_temperature(path.to_str().unwrap())
        };
        assert_eq!(read("40000\n"), Some(40000.0));
        assert_eq!(read(" \n -3.5e1xyz 7"), Some(-35.0));
        assert_eq!(read("0x10"), Some(16.0));
        assert_eq!(read("warm"), None);
        assert_eq!(read(""), None);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read_temperature(path.to_str().unwrap()), None);
    }
}
