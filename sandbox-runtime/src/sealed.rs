//! Supertraits that other crates cannot name, and so cannot implement: of traits that stand in bounds only.

#![expect(unnameable_types, reason = "what cannot be named cannot be implemented")]

use std::future::Future;

use serde_json::Value;

pub trait Function {}
impl<F: FnMut() -> A, A: Future> Function for F {}

pub trait IntoTool {}
impl<F: FnMut() -> A, A: Future<Output = Result<Value, String>>> IntoTool for F {}

pub trait ToolLabel {}
pub trait Handler {}
pub trait Keep {}
pub trait Reader {}
pub trait FailureReturn {}
