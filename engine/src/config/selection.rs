//! Source selection (`spec/config.md` section 5.4).

/// `authselectmode`
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum AuthSelectMode {
    /// Unauthenticated sources are not selectable.
    Require,
    /// The same, if there is any authenticated source.
    Prefer,
    /// Authenticated sources are trusted and required, if there are both.
    #[default]
    Mix,
    /// No difference.
    Ignore,
}

/// Parameters of the selection and of source statistics.
#[derive(Clone, Debug, PartialEq)]
pub struct SelectionConfig {
    /// `authselectmode`
    pub auth_mode: AuthSelectMode,
    /// `combinelimit`; 0 disables combining.
    pub combine_limit: f64,
    /// `maxdistance`, s.
    pub max_distance: f64,
    /// `maxjitter`, s.
    pub max_jitter: f64,
    /// `reselectdist`, s.
    pub reselect_distance: f64,
    /// `stratumweight`, s.
    pub stratum_weight: f64,
    /// `minsources`
    pub min_sources: u32,
    /// `minstratum`
    pub min_stratum: u32,
    /// `maxstratum`
    pub max_stratum: u32,
    /// `minsamples`
    pub min_samples: u32,
    /// `maxsamples`; 0 is no limit.
    pub max_samples: u32,
}

impl Default for SelectionConfig {
    fn default() -> Self {
        Self {
            auth_mode: AuthSelectMode::default(),
            combine_limit: 3.0,
            max_distance: 3.0,
            max_jitter: 1.0,
            reselect_distance: 1e-4,
            stratum_weight: 1e-3,
            min_sources: 1,
            min_stratum: 0,
            max_stratum: 15,
            min_samples: 6,
            max_samples: 0,
        }
    }
}
