"""What `esquirell doctor` looks at: one function per thing, one finding per look."""
