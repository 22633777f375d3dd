"""Running cells: a process for each participant, rounds, and what is kept from run to run."""
