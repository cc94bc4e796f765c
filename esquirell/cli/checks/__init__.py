"""What `esquirell doctor` checks: one function per subject, one finding per check."""
