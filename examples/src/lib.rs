//! Small programs that embed Streamkeeper. The package is its examples; this library is empty.
