"""What the program talks about: meters, readings, quantities, schedules. No I/O, no clock."""
