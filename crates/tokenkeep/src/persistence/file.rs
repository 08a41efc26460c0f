//! A protector over an atomic file (being written).
