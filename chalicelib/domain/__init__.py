"""What calling is: numbers, timetables, pace, outcomes. Pure: no clock, no I/O, no AWS."""
