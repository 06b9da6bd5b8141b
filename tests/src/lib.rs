//! Black-box tests of Streamkeeper.
