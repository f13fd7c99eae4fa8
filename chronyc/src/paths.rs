//! Where things are, as Debian has them; a packager may set the variables at build time.

macro_rules! setting {
    ($variable:literal, $default:literal) => {
        match option_env!($variable) {
            Some(value) => value,
            None => $default,
        }
    };
}

/// Servers tried one after the other.
pub(crate) const SERVERS: &str = setting!(
    "TRUECHIMER_CHRONYC_SERVERS",
    "/run/chrony/chronyd.sock,127.0.0.1,::1"
);
/// Whom a client started by root becomes, if there is such a user.
pub(crate) const USER: &str = setting!("TRUECHIMER_CHRONYC_USER", "_chrony");
/// UDP port.
pub(crate) const PORT: u16 = 323;
