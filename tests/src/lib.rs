//! Black-box tests against real daemons, real agents and real clients.
