//! Servers and agents in the style of public ones. Each is guarded by one attribute, and is otherwise as it was written: its
//! tools are tried with a dependency that fails twice, with one that is down, and with one that hangs.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod chat_agent;
mod command_session;
mod issue_server;
mod note_server;
mod plugin_host;
mod support;
mod workspace_server;
