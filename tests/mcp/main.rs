//! What `#[sandboxed]` promises on the tools of an MCP server, one file a promise. The client is that of rmcp.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod handler_methods;
mod http;
#[macro_use]
mod support;

mod a_client_that_cancels_ends_the_call;
mod answers_can_be_failures;
mod clients_are_told_of_retries;
mod earlier_errors_are_reported;
mod errors_of_the_caller_are_returned;
mod failures_reach_the_model;
mod hints_set_idempotent;
mod lost_clients_cancel;
mod one_attribute_guards_a_server;
mod other_tools_are_as_before;
mod own_error_types_state_their_meaning;
mod parameters_are_read_again;
mod parameters_reach_every_attempt;
mod questions_to_the_user;
mod repeated_failures_are_refused;
mod requests_are_cancelled_and_end_in_time;
mod servers_keep_their_methods;
mod servers_report_over_http;
mod servers_report_what_tools_cannot;
mod tasks_end;
mod texts_are_redacted;
mod tools_are_listed_as_before;
mod tools_come_and_go;
mod tools_have_the_clients_name;
