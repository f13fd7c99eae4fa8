//! Dates in the zone of this machine.

use std::mem::MaybeUninit;

/// Day (`Saturday, 21 November 2026`) and time of day (`13:45:11 (UTC)`) of a Unix second, as the C library sees
/// them; empty where it sees none.
#[must_use]
pub fn local_date(seconds: i64) -> (String, String) {
    let mut parts = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are valid for the call. `tm` is plain data, for which zeros are valid.
    let found = unsafe { libc::localtime_r(&raw const seconds, parts.as_mut_ptr()) };
    if found.is_null() {
        return (String::new(), String::new());
    }
    // SAFETY: localtime_r has filled it.
    let parts = unsafe { parts.assume_init() };
    let text = |format: &std::ffi::CStr| {
        let mut buffer = [0_u8; 128];
        // SAFETY: at most so many bytes are written; the format ends with a zero. `tm_zone` points to the zone's
        // name, which the C library keeps.
        let length = unsafe {
            libc::strftime(
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                format.as_ptr(),
                &raw const parts,
            )
        };
        let written = buffer.get(..length).unwrap_or_default();
        String::from_utf8_lossy(written).into_owned()
    };
    (text(c"%A, %d %B %Y"), text(c"%H:%M:%S (%Z)"))
}

#[cfg(test)]
mod tests {
    use super::local_date;

    #[test]
    fn dates_have_names() {
        // No zone is more than a day away.
        let (day, time) = local_date(1_795_268_711);
        assert!(
            ["20", "21", "22"]
                .iter()
                .any(|d| day.ends_with(&format!("day, {d} November 2026"))),
            "{day}"
        );
        assert!(time.ends_with(')') && time.contains(":11 ("), "{time}");
    }
}
