//! The tests of this package are those of `sandbox-tests`, in another edition.
