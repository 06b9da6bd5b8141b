//! Storms.
fn main(){}
