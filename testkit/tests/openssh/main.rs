//! Real OpenSSH programs log in, copy, sign and forward with a key that another device holds.
mod agent_commands;
mod decisions;
mod forwarding;
mod git;
mod life;
mod login;
mod many;
mod other_clients;
mod other_user;
mod tools;
