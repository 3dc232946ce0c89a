//! Who pays for the work of pure algorithms.
//!
//! The matcher and the searches know nothing of the VM, yet a pattern such as `(.-)*b` on a long subject must be stopped by
//! the limits. They count steps, and hand them over in batches to a meter, which may refuse.

/// Steps between two calls of [`Meter::spend`].
pub(crate) const BATCH: u32 = 512;

/// Bytes that one step pays for where bytes are looked at many at a time.
pub(crate) const BYTES_PER_STEP: usize = 16;

/// Takes account of work done.
pub(crate) trait Meter {
    /// Why the work has to end.
    type Stop;

    /// Accounts for `steps`, or says that there may be no more.
    fn spend(&mut self, steps: u32) -> Result<(), Self::Stop>;
}

#[cfg(test)]
pub(crate) mod testing {
    use super::Meter;

    /// A meter with so many steps left.
    pub(crate) struct Budget(pub u64);

    /// The budget was used up.
    #[derive(Debug, PartialEq, Eq)]
    pub(crate) struct UsedUp;

    impl Meter for Budget {
        type Stop = UsedUp;

        fn spend(&mut self, steps: u32) -> Result<(), UsedUp> {
            self.0 = self.0.checked_sub(u64::from(steps)).ok_or(UsedUp)?;
            Ok(())
        }
    }
}
