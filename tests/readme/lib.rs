//! As documentation this crate is the README, so that every snippet in it is compiled and run.

#![cfg_attr(doctest, doc = include_str!("../../README.md"))]
