//! Runs OCF, systemd and LSB resource agents: environment, exit codes, metadata.
