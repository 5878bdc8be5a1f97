//! Tests through the front door.

<<<<<<< HEAD
mod cli;
mod generated;
=======
mod interpreter;
>>>>>>> oracle
mod kernel;
mod roads;
mod layout;
