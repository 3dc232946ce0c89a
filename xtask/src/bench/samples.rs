//! Samples of one engine on one program, and the few statistics that are taken of them.

/// What the runs of one engine on one program cost.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    /// CPU seconds of each run.
    pub cpu: Vec<f64>,
    /// Peak resident bytes of each run.
    pub peak: Vec<f64>,
}

impl Samples {
    /// The median of CPU seconds.
    pub fn cpu(&self) -> f64 {
        median(&self.cpu)
    }

    /// The median of peak bytes.
    pub fn peak(&self) -> f64 {
        median(&self.peak)
    }

    /// How far the samples of CPU time lie apart, relative to their median.
    pub fn spread(&self) -> f64 {
        let least = self.cpu.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.cpu.iter().copied().fold(0.0, f64::max);
        (most - least) / self.cpu().max(f64::MIN_POSITIVE)
    }

    /// The standard error of the median of CPU seconds, relative to it. It is taken from the median of the distances to
    /// the median, which a few runs that were disturbed do not move.
    pub fn uncertainty(&self) -> f64 {
        /// The standard deviation of normal samples, by the median of their distances.
        const DEVIATION: f64 = 1.4826;
        /// The standard error of their median, by that of their mean.
        const ERROR: f64 = 1.2533;
        let middle = self.cpu();
        let distances: Vec<f64> = self.cpu.iter().map(|sample| (sample - middle).abs()).collect();
        let error = ERROR * DEVIATION * median(&distances) / (self.cpu.len() as f64).sqrt();
        error / middle.max(f64::MIN_POSITIVE)
    }
}

/// The middle of the samples; of an even number, the mean of the middle two.
pub fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// The geometric mean, or `None` of nothing.
pub fn geometric_mean(values: &[f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let logs: f64 = values.iter().map(|value| value.ln()).sum();
    Some((logs / values.len() as f64).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn the_geometric_mean_of_a_half_and_a_double_is_one() {
        let mean = geometric_mean(&[0.5, 2.0]).expect("not empty");
        assert!((mean - 1.0).abs() < 1e-12);
        assert_eq!(geometric_mean(&[]), None);
    }

    #[test]
    fn a_disturbed_run_makes_a_median_no_less_certain() {
        let samples = |cpu: &[f64]| Samples { cpu: cpu.to_vec(), peak: vec![] };
        assert!(samples(&[1.0, 1.001, 0.999, 1.0, 3.0]).uncertainty() < 0.01);
        assert!(samples(&[1.0, 1.1, 0.9, 1.05, 0.95]).uncertainty() > 0.02);
        let twice = [1.0, 1.1, 0.9, 1.05, 0.95].repeat(4);
        assert!(samples(&twice).uncertainty() < samples(&[1.0, 1.1, 0.9, 1.05, 0.95]).uncertainty() / 1.9);
    }

    #[test]
    fn the_spread_is_relative_to_the_median() {
        let samples = Samples { cpu: vec![1.0, 2.0, 3.0], peak: vec![] };
        assert!((samples.spread() - 1.0).abs() < 1e-12);
    }
}
