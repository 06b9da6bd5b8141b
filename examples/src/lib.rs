//! Small programs that embed Streamkeeper.
