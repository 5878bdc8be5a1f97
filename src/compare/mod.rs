//! Differences of two hosts.
