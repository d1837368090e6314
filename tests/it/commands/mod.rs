//! The program on its command line: what it prints, what it refuses, how it ends.

mod bills;
mod boards;
mod build;
mod build_interrupted;
mod diff;
mod documented;
mod exit_codes;
mod first_hour;
mod inspect;
mod json;
mod kubectl;
mod plan;
mod stages;
mod terminal;
mod tokens;
mod verify;
mod workflow;
mod wrong_turns;
