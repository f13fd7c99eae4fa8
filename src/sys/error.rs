//! Texts of errors as the C library writes them.

use std::io;

/// The C library's text of an error, for example `Permission denied`; errors without a number keep their own.
pub fn reason(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), text)
}

/// The C library's text of an error number.
pub fn text(errno: i32) -> String {
    let mut buffer = [0_u8; 256];
    // SAFETY: the buffer is ours and its length is passed along; the result is NUL-terminated within it.
    let status = unsafe { libc::strerror_r(errno, buffer.as_mut_ptr().cast(), buffer.len()) };
    let end = buffer.iter().position(|&byte| byte == 0).unwrap_or(buffer.len());
    match buffer.get(..end) {
        Some(text) if status == 0 && !text.is_empty() => String::from_utf8_lossy(text).into_owned(),
        _ => format!("Unknown error {errno}"),
    }
}

/// The result of a call that returns -1 and sets `errno` on failure.
pub(super) fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_those_of_the_c_library() {
        assert_eq!(text(libc::EPERM), "Operation not permitted");
        assert_eq!(
            reason(&io::Error::from_raw_os_error(libc::ENOENT)),
            "No such file or directory"
        );
        assert_eq!(reason(&io::Error::other("own text")), "own text");
        assert!(text(987_654).contains("987654"));
    }
}
