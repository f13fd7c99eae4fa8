//! Straight lines through samples (`spec/sync.md` 2.4, annex A). Nothing here allocates: there are at most
//! [`MAX_SAMPLES`] points in a fit and as many older ones for the runs test.

/// Most samples that a line is fitted to.
pub const MAX_SAMPLES: usize = 64;
/// Most points that the runs test may look at: the samples of the fit and as many older ones.
pub const MAX_POINTS: usize = 2 * MAX_SAMPLES;

/// A weighted line through points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// Value at x = 0.
    pub intercept: f64,
    /// Slope.
    pub slope: f64,
    /// Standard deviation of the intercept.
    pub intercept_sd: f64,
    /// Standard deviation of the slope.
    pub slope_sd: f64,
    /// Weighted average variance of the points.
    pub variance: f64,
    /// Degrees of freedom of the residuals.
    pub dof: usize,
}

/// The best line found by [`best_regression`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// The line through the samples from `start`.
    pub line: Line,
    /// Index of the oldest sample that still fits.
    pub start: usize,
    /// Runs of residuals of the same sign, over the fitted samples.
    pub runs: usize,
}

/// Sums that every weighted fit needs.
struct Sums {
    /// Sum of the inverse weights.
    w: f64,
    /// Weighted mean of x.
    u: f64,
    /// Weighted sum of (x - u)^2.
    v: f64,
    intercept: f64,
    slope: f64,
}

/// `w` are variance factors: big is bad. `None` if the x don't span anything.
fn sums(x: &[f64], y: &[f64], w: &[f64]) -> Option<Sums> {
    let (mut sw, mut sx) = (0.0, 0.0);
    for (x, w) in x.iter().zip(w) {
        sw += 1.0 / w;
        sx += x / w;
    }
    let u = sx / sw;
    let (mut p, mut q, mut v) = (0.0, 0.0, 0.0);
    for ((x, y), w) in x.iter().zip(y).zip(w) {
        let (dx, scaled) = (x - u, 1.0 / w);
        p += y * scaled;
        q += y * dx * scaled;
        v += dx * dx * scaled;
    }
    let slope = q / v;
    let intercept = p / sw - slope * u;
    (slope.is_finite() && intercept.is_finite()).then_some(Sums {
        w: sw,
        u,
        v,
        intercept,
        slope,
    })
}

/// Fills in the statistics of a line; `residuals` and `w` are those of the fitted points.
fn finish(sums: &Sums, residuals: &[f64], w: &[f64]) -> Line {
    let dof = residuals.len().saturating_sub(2);
    let mut ss = 0.0;
    for (r, w) in residuals.iter().zip(w) {
        ss += r * r / w;
    }
    ss /= dof.max(1) as f64;
    let slope_sd = libm::sqrt(ss / sums.v);
    let lever = sums.u * slope_sd;
    Line {
        intercept: sums.intercept,
        slope: sums.slope,
        intercept_sd: libm::sqrt(ss / sums.w + lever * lever),
        slope_sd,
        variance: ss * residuals.len() as f64 / sums.w,
        dof,
    }
}

/// Weighted least squares without any test, for 3 to 256 points. `w` are variance factors.
///
/// `None` if there are too few points or all x are the same.
#[must_use]
pub fn weighted_line(x: &[f64], y: &[f64], w: &[f64]) -> Option<Line> {
    const MOST: usize = 256;
    let n = x.len();
    if !(3..=MOST).contains(&n) || y.len() != n || w.len() != n {
        return None;
    }
    let sums = sums(x, y, w)?;
    let mut residuals = [0.0; MOST];
    for ((r, x), y) in residuals.iter_mut().zip(x).zip(y) {
        *r = y - sums.intercept - sums.slope * x;
    }
    Some(finish(&sums, &residuals[..n], w))
}

/// Weighted least squares that drops the oldest samples until the residuals look random
/// (`spec/sync.md` 2.4).
///
/// `x` and `y` hold all points, oldest first; `w` the variance factors of the newest `w.len()` of them, the
/// active samples. The points before those only serve the runs test. `None` with fewer than 3 samples, more
/// than [`MAX_SAMPLES`], or all at the same x.
#[must_use]
pub fn best_regression(x: &[f64], y: &[f64], w: &[f64], min_samples: usize) -> Option<Fit> {
    let (points, n) = (x.len(), w.len());
    if n < 3 || points < n || points > MAX_POINTS || y.len() != points {
        return None;
    }
    let older = points - n;
    let mut residuals = [0.0; MAX_POINTS];
    let mut start = 0;
    loop {
        let first = older + start;
        let fitted = n - start;
        let sums = sums(&x[first..], &y[first..], &w[start..])?;
        // Twice as many residuals as fitted samples, as far as there are that many points.
        let from = points.saturating_sub(2 * fitted);
        for i in from..points {
            residuals[i] = y[i] - sums.intercept - sums.slope * x[i];
        }
        let mut runs = count_runs(&residuals[from..points]);
        if runs > critical_runs(points - from) || fitted <= 3 || fitted <= min_samples {
            if from != first {
                runs = count_runs(&residuals[first..points]);
            }
            let line = finish(&sums, &residuals[first..points], &w[start..]);
            return Some(Fit { line, start, runs });
        }
        start += 1;
    }
}

/// Number of runs of residuals of the same sign; a zero always ends a run.
#[must_use]
pub fn count_runs(residuals: &[f64]) -> usize {
    let breaks = residuals
        .windows(2)
        .filter(|pair| !((pair[0] < 0.0 && pair[1] < 0.0) || (pair[0] > 0.0 && pair[1] > 0.0)))
        .count();
    breaks + 1
}

/// Critical number of runs among `len` residuals at about the 5 % level: more runs than this pass.
#[must_use]
pub fn critical_runs(len: usize) -> usize {
    if len < 8 {
        return 0;
    }
    let len = len as f64;
    (len / 2.0 + 0.787 - 0.811 * libm::sqrt(len - 3.0)) as usize
}

/// The slope `a` of `y = c0 + c1*x1 + a*x2` by unweighted least squares; `None` with fewer than 4 points or if
/// the two variables can't be told apart (`spec/sync.md` 2.4).
#[must_use]
pub fn second_slope(x1: &[f64], x2: &[f64], y: &[f64]) -> Option<f64> {
    if x1.len() < 4 || x2.len() != x1.len() || y.len() != x1.len() {
        return None;
    }
    let n = x1.len() as f64;
    let (mut sx, mut sd, mut sxx, mut sxd, mut sdd) = (0.0, 0.0, 0.0, 0.0, 0.0);
    let (mut sxy, mut sdy, mut sy) = (0.0, 0.0, 0.0);
    for ((&x, &d), &y) in x1.iter().zip(x2).zip(y) {
        sx += x;
        sd += d;
        sxx += x * x;
        sxd += x * d;
        sdd += d * d;
        sxy += x * y;
        sdy += d * y;
        sy += y;
    }
    let u = n * (sxd * sxy - sxx * sdy) + sx * sx * sdy - sx * sd * sxy + sy * (sd * sxx - sx * sxd);
    let v1 = n * (sxd * sxd - sxx * sdd);
    let v2 = sx * sx * sdd + sd * sd * sxx;
    let v3 = -2.0 * sx * sd * sxd;
    let v = v1 + v2 + v3;
    if v.abs() * 1e10 <= -v1 + v2 + v3.abs() {
        return None;
    }
    let a = u / v;
    a.is_finite().then_some(a)
}

/// A line that outliers hardly move.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RobustFit {
    /// Value at x = 0.
    pub intercept: f64,
    /// Slope.
    pub slope: f64,
    /// Runs of residuals of the same sign; 0 for two points.
    pub runs: usize,
    /// Index of the first point that still fits.
    pub start: usize,
}

/// Least absolute deviations, dropping the oldest points until the residuals look random
/// (`spec/sync.md` annex A.3). `tolerance` is that of the slope. `None` with fewer than 2 points, more than
/// [`MAX_SAMPLES`], or if no slope is found.
#[must_use]
pub fn robust_regression(x: &[f64], y: &[f64], tolerance: f64) -> Option<RobustFit> {
    let n = x.len();
    if !(2..=MAX_SAMPLES).contains(&n) || y.len() != n {
        return None;
    }
    if n == 2 {
        let slope = (y[1] - y[0]) / (x[1] - x[0]);
        let intercept = y[0] - slope * x[0];
        return slope.is_finite().then_some(RobustFit {
            intercept,
            slope,
            runs: 0,
            start: 0,
        });
    }
    let mut start = 0;
    loop {
        let (px, py) = (&x[start..], &y[start..]);
        let (slope, intercept) = least_absolute(px, py, tolerance)?;
        let mut residuals = [0.0; MAX_SAMPLES];
        for ((r, x), y) in residuals.iter_mut().zip(px).zip(py) {
            *r = y - intercept - slope * x;
        }
        let runs = count_runs(&residuals[..px.len()]);
        if px.len() == 3 || runs > critical_runs(px.len()) {
            return Some(RobustFit {
                intercept,
                slope,
                runs,
                start,
            });
        }
        start += 1;
    }
}

/// Slope and intercept of least absolute deviations, by bisection around the least squares slope.
fn least_absolute(x: &[f64], y: &[f64], tolerance: f64) -> Option<(f64, f64)> {
    let k = x.len() as f64;
    let ones = [1.0; MAX_SAMPLES];
    let line = sums(x, y, &ones[..x.len()])?;
    let mut squares = 0.0;
    for (x, y) in x.iter().zip(y) {
        let r = y - line.intercept - line.slope * x;
        squares += r * r;
    }
    let mut reach = libm::sqrt(squares * k / line.v).max(tolerance);
    if !reach.is_finite() {
        return None;
    }
    let (mut low, mut high, mut g_low);
    loop {
        reach *= 2.0;
        if reach > 100.0 {
            return None;
        }
        (low, high) = (line.slope - reach, line.slope + reach);
        g_low = gradient(x, y, low).0;
        if g_low * gradient(x, y, high).0 < 0.0 {
            break;
        }
    }
    loop {
        let middle = 0.5 * (low + high);
        let (g, intercept) = gradient(x, y, middle);
        if g == 0.0 || high - low <= tolerance || !(low < middle && middle < high) {
            return Some((middle, intercept));
        }
        if g * g_low > 0.0 {
            (low, g_low) = (middle, g);
        } else {
            high = middle;
        }
    }
}

/// Sum of x * sign(residual) for slope `b`, and the intercept (median) that goes with it.
fn gradient(x: &[f64], y: &[f64], b: f64) -> (f64, f64) {
    let mut values = [0.0; MAX_SAMPLES];
    for ((v, x), y) in values.iter_mut().zip(x).zip(y) {
        *v = y - b * x;
    }
    let a = median(&mut values[..x.len()]);
    let mut sum = 0.0;
    for (x, y) in x.iter().zip(y) {
        let r = y - a - b * x;
        if r > 0.0 {
            sum += x;
        } else if r < 0.0 {
            sum -= x;
        }
    }
    (sum, a)
}

/// Median; the mean of the two middle values of an even count; 0 of none. Reorders `values`.
#[must_use]
pub fn median(values: &mut [f64]) -> f64 {
    let n = values.len();
    if n == 0 {
        return 0.0;
    }
    let (lower, &mut middle, _) = values.select_nth_unstable_by(n / 2, f64::total_cmp);
    if n % 2 == 1 {
        return middle;
    }
    let below = lower.iter().copied().max_by(f64::total_cmp).unwrap_or(middle);
    0.5 * (below + middle)
}

/// One-sided 99.95 % quantile of Student's distribution (`spec/sync.md` annex A.1); 3.5 above 40 degrees.
#[must_use]
pub fn student(dof: usize) -> f64 {
    const T: [f64; 40] = [
        636.6, 31.6, 12.92, 8.61, 6.869, 5.959, 5.408, 5.041, 4.781, 4.587, 4.437, 4.318, 4.221, 4.14, 4.073,
        4.015, 3.965, 3.922, 3.883, 3.85, 3.819, 3.792, 3.768, 3.745, 3.725, 3.707, 3.69, 3.674, 3.659,
        3.646, 3.633, 3.622, 3.611, 3.601, 3.591, 3.582, 3.574, 3.566, 3.558, 3.551,
    ];
    T.get(dof.saturating_sub(1)).copied().unwrap_or(3.5)
}

/// 90 % quantile of the chi-squared distribution (`spec/sync.md` annex A.2); 1.2 * `dof` above 64 degrees.
#[must_use]
pub fn chi_squared(dof: usize) -> f64 {
    const X: [f64; 64] = [
        2.706, 4.605, 6.251, 7.779, 9.236, 10.645, 12.017, 13.362, 14.684, 15.987, 17.275, 18.549, 19.812,
        21.064, 22.307, 23.542, 24.769, 25.989, 27.204, 28.412, 29.615, 30.813, 32.007, 33.196, 34.382,
        35.563, 36.741, 37.916, 39.087, 40.256, 41.422, 42.585, 43.745, 44.903, 46.059, 47.212, 48.363,
        49.513, 50.660, 51.805, 52.949, 54.090, 55.230, 56.369, 57.505, 58.641, 59.774, 60.907, 62.038,
        63.167, 64.295, 65.422, 66.548, 67.673, 68.796, 69.919, 71.040, 72.160, 73.279, 74.397, 75.514,
        76.630, 77.745, 78.860,
    ];
    X.get(dof.saturating_sub(1)).copied().unwrap_or(1.2 * dof as f64)
}

#[cfg(test)]
mod tests;
