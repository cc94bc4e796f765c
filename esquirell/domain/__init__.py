"""The vocabulary of the program: meters, readings, quantities, schedules. No I/O, no clock."""
