//! The storage contract of Streamkeeper, its in-memory backend, and the tests every backend must pass.
