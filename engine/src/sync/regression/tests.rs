//! Worked examples of `spec/sync.md` 11.1.

use super::*;

fn near(got: f64, want: f64) {
    assert!(
        (got - want).abs() <= 1e-6 * want.abs() + 1e-18,
        "{got:e} is not {want:e}"
    );
}

fn fit(x: &[f64], y: &[f64], w: &[f64], min: usize) -> Fit {
    best_regression(x, y, w, min).expect("enough samples")
}

#[test]
fn example_1_equal_weights() {
    let x = [-48.0, -32.0, -16.0, 0.0];
    let y = [10e-6, 14e-6, 9e-6, 13e-6];
    let f = fit(&x, &y, &[1.0; 4], 0);
    near(f.line.intercept, 1.21e-5);
    near(f.line.slope, 2.5e-8);
    near(f.line.variance, 8.1e-12);
    near(f.line.intercept_sd, 2.38117618e-6);
    near(f.line.slope_sd, 7.95495129e-8);
    assert_eq!((f.runs, f.start, f.line.dof), (4, 0, 2));
    near(f.line.slope_sd * student(f.line.dof), 2.51376464e-6);
}

#[test]
fn example_2_weights_are_variances() {
    let x = [-64.0, -48.0, -32.0, -16.0, 0.0];
    let y = [1e-3, 1.1e-3, 1.15e-3, 1.5e-3, 1.4e-3];
    let f = fit(&x, &y, &[1.0, 1.0, 4.0, 25.0, 1.0], 0);
    near(f.line.intercept, 1.40038168e-3);
    near(f.line.slope, 6.29770992e-6);
    near(f.line.variance, 1.12144907e-9);
    near(f.line.intercept_sd, 2.58211883e-5);
    near(f.line.slope_sd, 5.73632438e-7);
    assert_eq!((f.runs, f.line.dof), (4, 3));
}

#[test]
fn examples_3_to_5_a_parabola_drops_old_samples() {
    let x: [f64; 12] = core::array::from_fn(|i| 16.0 * (i as f64 - 11.0));
    let y = x.map(|x| 1e-9 * x * x);

    let f = fit(&x, &y, &[1.0; 12], 0);
    near(f.line.intercept, -2.56e-7);
    near(f.line.slope, -4.8e-8);
    assert_eq!((f.start, f.runs, f.line.dof), (8, 3, 2));
    near(f.line.slope_sd * student(2), 3.19769521e-7);

    let f = fit(&x, &y, &[1.0; 12], 6);
    near(f.line.intercept, -8.53333333e-7);
    near(f.line.slope, -8e-8);
    assert_eq!((f.start, f.line.dof), (6, 4));
    near(f.line.slope_sd * student(4), 1.00605675e-7);

    let f = fit(&x, &y, &[1.0; 6], 3);
    near(f.line.slope, -4.8e-8);
    assert_eq!((f.start, f.runs), (2, 3));
}

#[test]
fn example_6_a_change_of_frequency() {
    let x: [f64; 20] = core::array::from_fn(|i| 64.0 * (i as f64 - 19.0));
    let y: [f64; 20] = core::array::from_fn(|i| {
        let trend = if i < 10 { 128e-6 * (i as f64 - 10.0) } else { 0.0 };
        trend + 1e-6 * (((7 * i) % 5) as f64 - 2.0)
    });
    let f = fit(&x, &y, &[1.0; 20], 6);
    near(f.line.intercept, 5.45454545e-7);
    near(f.line.slope, 1.89393939e-9);
    assert_eq!((f.start, f.runs, f.line.dof), (10, 8, 8));
    near(f.line.slope_sd * student(8), 1.32893464e-8);
}

#[test]
fn example_7_three_runs_of_eight_pass() {
    let x: [f64; 8] = core::array::from_fn(|i| 16.0 * (i as f64 - 7.0));
    let f = fit(&x, &x.map(|x| 1e-9 * x * x), &[1.0; 8], 0);
    assert_eq!((f.start, f.runs), (0, 3));
}

#[test]
fn examples_8_to_10_runs_and_tables() {
    assert_eq!(count_runs(&[1.0, 1.0, -1.0, 0.0, -1.0, 1.0]), 5);
    assert_eq!(count_runs(&[0.0, 0.0, 1.0]), 3);
    for (dof, t) in [(1, 636.6), (4, 8.61), (40, 3.551), (41, 3.5)] {
        assert_eq!(student(dof), t);
    }
    for (dof, x) in [(1, 2.706), (14, 21.064), (65, 78.0)] {
        near(chi_squared(dof), x);
    }
    assert_eq!((0..=128).map(critical_runs).sum::<usize>(), 3393);
    for (len, crit) in [
        (7, 0),
        (8, 2),
        (12, 4),
        (20, 7),
        (50, 20),
        (64, 26),
        (100, 42),
        (128, 55),
    ] {
        assert_eq!(critical_runs(len), crit);
    }
}

#[test]
fn examples_11_to_13_robust() {
    let x = [0.0, 10.0, 20.0, 30.0, 40.0, 50.0];
    let f = robust_regression(&x, &[1.0, 2.0, 3.0, 4.0, 50.0, 6.0], 1e-8).expect("a slope");
    assert!((f.intercept - 0.999_999_89).abs() < 1e-7 && (f.slope - 0.100_000_01).abs() < 1e-7);
    assert_eq!((f.runs, f.start), (4, 0));

    let f = robust_regression(&[0.0, 100.0], &[0.5, 0.6], 1e-8).expect("a slope");
    near(f.intercept, 0.5);
    near(f.slope, 0.001);
    assert_eq!(f.runs, 0);

    let x = [-40.0, -30.0, -20.0, -10.0, 0.0];
    let f = robust_regression(&x, &[0.0, 0.011, 0.019, 0.5, 0.040], 1e-8).expect("a slope");
    assert!(
        (f.intercept - 0.051_320_96).abs() < 2e-8 && (f.slope - 0.001_344_03).abs() < 2e-8,
        "{f:?}"
    );
}

#[test]
fn example_14_two_variables() {
    let x1 = [-40.0, -30.0, -20.0, -10.0, 0.0];
    let x2 = [1e-4, 3e-4, 0.0, 2e-4, 5e-4];
    let y = [10e-6, 220e-6, 15e-6, 110e-6, 310e-6];
    near(second_slope(&x1, &x2, &y).expect("solvable"), 0.640_404_040);
    assert_eq!(second_slope(&x1, &x1, &y), None);
    assert_eq!(second_slope(&x1[..3], &x2[..3], &y[..3]), None);
}

#[test]
fn example_15_median() {
    assert_eq!(median(&mut [3.0, 1.0, 2.0, 5.0, 4.0, 9.0]), 3.5);
    assert_eq!(median(&mut [3.0, 1.0, 2.0, 5.0, 4.0]), 3.0);
}

#[test]
fn the_same_x_gives_no_line() {
    assert_eq!(
        best_regression(&[0.0; 4], &[1.0, 2.0, 3.0, 4.0], &[1.0; 4], 0),
        None
    );
    assert_eq!(robust_regression(&[0.0; 4], &[1.0, 2.0, 3.0, 4.0], 1e-8), None);
    assert_eq!(best_regression(&[-1.0, 0.0], &[1.0, 2.0], &[1.0; 2], 0), None);
}
