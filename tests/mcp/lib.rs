//! Tests of tools on MCP servers.
