//! Running other programs: process group, deadline, bounded capture.
