//! Real OpenSSH programs log in, copy, sign and forward with a key that another device holds.

mod login;
